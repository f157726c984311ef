"""What would a review in a language that does not belong here look like?

Four small grammars of our own (German, French, Spanish, Italian); see `grammar.py` for the notation. A review is an
opening, remarks and a closing, so that it is longer than 60 characters and hardly ever the same twice.
"""

from __future__ import annotations

FOREIGN: dict[str, dict[str, str]] = {
    "German": {
        "opening": """Ich habe {ware} vor [zwei|drei|vier|fünf|sechs] [Wochen|Monaten] [gekauft|bestellt].
            Nach [langem Suchen|vielen Vergleichen] habe ich mich für {ware} entschieden.
            Meine [Frau|Tochter|Schwester|Nachbarin] hat mir {ware} empfohlen.
            Eigentlich wollte ich {ware} nur für den [Urlaub|Winter|Sommer|Garten].""",
        "ware": "diese Schuhe|diese Jacke|diesen Rucksack|dieses Hemd|diese Hose|diese Handschuhe",
        "remark": """Die Verarbeitung ist [sehr gut|ordentlich|leider schlecht|besser als erwartet].
            Der Preis ist [fair|zu hoch|für die Qualität in Ordnung].
            Die Lieferung kam [pünktlich|zwei Tage zu spät|schneller als angekündigt].
            Die Farbe sieht [genauso aus wie auf dem Bild|in echt viel dunkler aus|etwas blass aus].
            Nach [wenigen|zwei|drei] Wochen [löst sich schon die Naht|ist noch alles wie neu].
            Die Größe fällt [etwas kleiner|größer|ganz normal] aus.""",
        "closing": """[Ich würde sie jederzeit wieder kaufen.|Klare Empfehlung von mir.|Leider geht alles zurück.]
            [Für den Alltag reicht es allemal.|Das nächste Mal kaufe ich wieder etwas anderes.]""",
    },
    "French": {
        "opening": """J'ai acheté {ware} il y a [deux|trois|quatre|six] [semaines|mois].
            Après [beaucoup de recherches|plusieurs essais], j'ai choisi {ware}.
            Ma [femme|fille|sœur|voisine] m'a conseillé {ware}.
            Je cherchais {ware} pour [les vacances|l'hiver|la randonnée|le travail].""",
        "ware": "ces chaussures|cette veste|ce sac à dos|cette chemise|ce pantalon|ces gants",
        "remark": """La qualité est [très bonne|correcte|vraiment décevante|meilleure que prévu].
            Le prix est [raisonnable|trop élevé|justifié].
            La livraison est arrivée [à l'heure|avec deux jours de retard|plus vite que prévu].
            La couleur est [la même que sur la photo|beaucoup plus foncée en vrai|un peu pâle].
            Au bout de [deux|trois|quatre] semaines, [une couture a lâché|tout est encore comme neuf].
            Il faut prendre [une taille au-dessus|sa taille habituelle].""",
        "closing": """[Je les rachèterais sans hésiter.|Je recommande vivement.|Je vais tout renvoyer, malheureusement.]
            [Pour tous les jours, cela suffit largement.|La prochaine fois, je choisirai autre chose.]""",
    },
    "Spanish": {
        "opening": """Compré {ware} hace [dos|tres|cuatro|seis] [semanas|meses].
            Después de [mucho buscar|comparar bastante], me decidí por {ware}.
            Mi [mujer|hija|hermana|vecina] me recomendó {ware}.
            Buscaba {ware} para [las vacaciones|el invierno|la montaña|el trabajo].""",
        "ware": "estas zapatillas|esta chaqueta|esta mochila|esta camisa|estos pantalones|estos guantes",
        "remark": """La calidad es [muy buena|correcta|bastante mala|mejor de lo que esperaba].
            El precio es [justo|demasiado alto|razonable].
            El envío llegó [a tiempo|con dos días de retraso|antes de lo previsto].
            El color es [igual que en la foto|mucho más oscuro en persona|un poco pálido].
            Después de [dos|tres|cuatro] semanas [ya se abrió la costura|sigue todo como nuevo].
            Conviene pedir [una talla más|la talla de siempre].""",
        "closing": """[Lo volvería a comprar sin dudarlo.|Muy recomendable para todos.|Por desgracia lo voy a devolver.]
            [Para el día a día es más que suficiente.|La próxima vez elegiré otra cosa.]""",
    },
    "Italian": {
        "opening": """Ho comprato {ware} [due|tre|quattro|sei] [settimane|mesi] fa.
            Dopo [molte ricerche|vari confronti] ho scelto {ware}.
            Mia [moglie|figlia|sorella|vicina] mi ha consigliato {ware}.
            Cercavo {ware} per [le vacanze|l'inverno|la montagna|il lavoro].""",
        "ware": "queste scarpe|questa giacca|questo zaino|questa camicia|questi pantaloni|questi guanti",
        "remark": """La qualità è [molto buona|discreta|davvero deludente|migliore del previsto].
            Il prezzo è [giusto|troppo alto|adeguato].
            La spedizione è arrivata [in orario|con due giorni di ritardo|prima del previsto].
            Il colore è [uguale alla foto|molto più scuro dal vivo|un po' pallido].
            Dopo [due|tre|quattro] settimane [si è già aperta una cucitura|è ancora tutto come nuovo].
            Conviene prendere [una taglia in più|la solita taglia].""",
        "closing": """[Lo ricomprerei senza pensarci.|Lo consiglio a tutti.|Purtroppo lo devo restituire.]
            [Per tutti i giorni va benissimo.|La prossima volta sceglierò qualcos'altro.]""",
    },
}

RULES: dict[str, str] = {
    f"{language} {name}": text.replace("{ware}", f"{{{language} ware}}")
    for language, rules in FOREIGN.items()
    for name, text in rules.items()
}
"""The same rules under names of their own: "German opening", …"""
