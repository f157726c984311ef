"""What do the shop's customers and its catalogue talk about, and in which words?

Everything here is our own: invented models and handles, our own sentences. A few well-known sportswear brands stand among
invented ones because the hackathon that this project grew out of asked its model about them. `grammar.py` explains the
notation of the rules.
"""

# ruff: noqa: E501 - the sentences are data, and an alternative stands on one line

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProductType:
    """One kind of article."""

    name: str
    """As the catalogue says it, lower case: "trail running shoes"."""
    noun: str
    """As a customer says it: "shoes"."""
    category: str
    plural: bool
    price: float
    """Median price, in dollars."""
    weight: float
    """Share among the catalogue's articles, relative to the others (unitless)."""


@dataclass(frozen=True)
class Feature:
    """One thing that reviews praise or blame: a subject, and what good and bad reviews say of it."""

    subject: str
    good: str
    bad: str
    word: str
    """What a title calls it: "grip"."""


FAMOUS_BRANDS = (
    *("Nike", "Adidas", "Puma", "Reebok", "Asics", "Converse", "Vans", "Fila", "Under Armour", "New Balance"),
)
INVENTED_BRANDS = (
    *(
        "Corvane",
        "Altamere",
        "Northwell",
        "Tressa",
        "Halden",
        "Quillon",
        "Mirabo",
        "Brindlewood",
        "Ternway",
        "Veldtmark",
    ),
    *("Lumeva", "Skarvik", "Ostrana", "Peakfold", "Ridgeline Nine", "Calder Bay", "Juno Loft", "Westering", "Kipwell"),
)
BRANDS = FAMOUS_BRANDS + INVENTED_BRANDS
BRAND_WEIGHTS = (
    *(12, 9, 6, 4, 4, 3, 3, 2, 4, 4),
    *(5, 5, 5, 4, 4, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 1),
)
"""How often a brand is bought, relative to the others."""

WORN = ("Shoes", "Jackets", "Tops", "Trousers", "Accessories")
"""Categories that come in sizes, and that the sportswear brands make."""

TYPES = (
    ProductType("running shoes", "shoes", "Shoes", True, 95, 8),
    ProductType("trail running shoes", "shoes", "Shoes", True, 110, 5),
    ProductType("training shoes", "trainers", "Shoes", True, 80, 5),
    ProductType("basketball shoes", "shoes", "Shoes", True, 105, 3),
    ProductType("hiking boots", "boots", "Shoes", True, 140, 4),
    ProductType("canvas sneakers", "sneakers", "Shoes", True, 60, 5),
    ProductType("rain jacket", "jacket", "Jackets", False, 120, 5),
    ProductType("down jacket", "jacket", "Jackets", False, 180, 4),
    ProductType("fleece jacket", "fleece", "Jackets", False, 70, 4),
    ProductType("running windbreaker", "windbreaker", "Jackets", False, 75, 3),
    ProductType("cotton t-shirt", "t-shirt", "Tops", False, 25, 5),
    ProductType("running shirt", "shirt", "Tops", False, 38, 4),
    ProductType("zip hoodie", "hoodie", "Tops", False, 58, 4),
    ProductType("merino sweater", "sweater", "Tops", False, 85, 3),
    ProductType("running tights", "tights", "Trousers", True, 62, 3),
    ProductType("hiking trousers", "trousers", "Trousers", True, 85, 3),
    ProductType("training shorts", "shorts", "Trousers", True, 35, 4),
    ProductType("jogging pants", "pants", "Trousers", True, 52, 3),
    ProductType("day backpack", "backpack", "Bags", False, 70, 4),
    ProductType("gym bag", "bag", "Bags", False, 45, 3),
    ProductType("waist pack", "pack", "Bags", False, 30, 2),
    ProductType("running socks", "socks", "Accessories", True, 16, 3),
    ProductType("winter gloves", "gloves", "Accessories", True, 32, 2),
    ProductType("knitted beanie", "beanie", "Accessories", False, 24, 2),
    ProductType("sports headphones", "headphones", "Audio", True, 85, 3),
    ProductType("wireless earbuds", "earbuds", "Audio", True, 70, 4),
    ProductType("GPS watch", "watch", "Watches", False, 220, 3),
    ProductType("fitness tracker", "tracker", "Watches", False, 75, 3),
    ProductType("two-person tent", "tent", "Camping", False, 190, 2),
    ProductType("sleeping bag", "sleeping bag", "Camping", False, 115, 2),
    ProductType("insulated bottle", "bottle", "Drinkware", False, 29, 3),
    ProductType("travel mug", "mug", "Drinkware", False, 24, 2),
)
CATEGORIES = tuple(dict.fromkeys(t.category for t in TYPES))

COMPLEMENTS = {
    "Shoes": "Accessories",
    "Jackets": "Accessories",
    "Tops": "Trousers",
    "Trousers": "Tops",
    "Bags": "Drinkware",
    "Accessories": "Shoes",
    "Audio": "Watches",
    "Watches": "Audio",
    "Camping": "Drinkware",
    "Drinkware": "Bags",
}
"""What is bought with what; every other category is irrelevant."""

COLOURS = (
    *("black", "white", "navy", "dark green", "burgundy", "light blue", "grey", "olive", "coral", "mustard", "sand"),
    *("teal", "charcoal", "bright orange", "plum", "pale pink", "rust", "cream", "royal blue", "lime"),
)

MODELS = (
    *("Tempo", "Strider", "Meridian", "Cascade", "Larkspur", "Ember", "Solstice", "Pioneer", "Driftwood", "Halcyon"),
    *("Vantage", "Summit", "Harbor", "Kestrel", "Juniper", "Outrider", "Zephyr", "Granite", "Wayfarer", "Aurora"),
    *(
        "Fathom",
        "Birch",
        "Nomad",
        "Pulse",
        "Arrow",
        "Cinder",
        "Lumen",
        "Tundra",
        "Marlow",
        "Sable",
        "Vesper",
        "Drumlin",
    ),
    *("Foxglove", "Rambler", "Signal", "Contour", "Echo", "Bracken", "Quartz", "Saltmarsh"),
)
MODEL_ENDINGS = ("", " 2", " 3", " 4", " Pro", " Lite", " Plus", " II", " GT", " Classic", " One", " X")

FEATURES: dict[str, tuple[Feature, ...]] = {
    "Shoes": (
        Feature(
            "the [cushioning|foam|midsole]",
            """[is soft without feeling mushy|still feels springy after {n} weeks]
            [takes the sting out of [concrete|tarmac|hard floors]]
            [absorbs every landing|makes long days on my feet easy]
            [has just the right bounce|is far better than I expected]""",
            """[went flat within {n} weeks|is hard as a board|gives no support at all|feels dead after {distance}]
            [bottoms out when I land|is so soft that I wobble|left my knees aching]""",
            "cushioning",
        ),
        Feature(
            "the [sole|outsole|tread]",
            """[grips|holds] [very well|superbly|without a slip] on [wet leaves|wet pavement|loose gravel|mud|the gym floor|smooth stone]
            [shows hardly any wear after {distance}|is thick without being heavy|is quiet on the court]""",
            """[started to peel off|came unglued|wore through] after [{n} weeks|{distance}|a month]
            [slips|slides|has no hold] on [wet leaves|wet pavement|tiles|loose gravel]
            [squeaks with every step|picks up every small stone]""",
            "grip",
        ),
        Feature(
            "the [upper|mesh|material on top]",
            """[breathes well even in summer|is light and flexible]
            [dries within an hour|hugs the foot nicely|wipes clean in a minute]
            [kept my feet cool|has not a single loose thread|still looks new after {distance}]""",
            """[tore at the little toe|ripped along the side|started to fray] after [{n} weeks|{distance}|a few wears]
            [lets every drop of water in|is stiff and rubs|makes my feet sweat|looks worn out already]""",
            "material",
        ),
        Feature(
            "the [toe box|front part|fit around the toes]",
            """[is wide enough for my feet|leaves room to spread the toes]
            [is roomy but not sloppy|fits as if made for me]""",
            """[is far too narrow|pinches my little toe|presses on the nails|is so tight that I got blisters]""",
            "fit",
        ),
        Feature(
            "the [heel|heel cup|ankle support]",
            """[stays put|holds firmly without rubbing|is padded just right]
            [needed no breaking in|keeps my ankle steady]""",
            """[slips with every step|rubbed my skin raw|gave me blisters on the first day|is stiff and too low]""",
            "support",
        ),
        Feature(
            "the [lacing|lace system]",
            """[stays tied all day|spreads the pressure evenly|is quick to adjust|locks the foot in well]""",
            """[comes undone all the time|cuts into my instep]
            [snapped after {n} weeks|is too short for a double knot]""",
            "lacing",
        ),
        Feature(
            "the [arch support|insole]",
            """[is firm in the right place|suits my flat feet|helped my sore heel|fits my own orthotics]""",
            """[is missing altogether|slides forward when I run|curled up after {n} weeks|digs into my foot]""",
            "arch support",
        ),
    ),
    "Jackets": (
        Feature(
            "the [shell|outer fabric|fabric]",
            """[kept me dry in [a downpour|two hours of rain|heavy drizzle|sleet]]
            [lets no wind through|beads water like new after {n} washes]
            [is light but tough|does not rustle|dries quickly on the line]""",
            """[soaked through in [ten minutes|a light drizzle|the first shower]|lets the wind straight through]
            [rustles so loudly that people turn round|tore on the first bramble|lost its coating after {n} washes]""",
            "weather protection",
        ),
        Feature(
            "the [hood|hood with its peak]",
            """[stays up in the wind|fits over a helmet|adjusts with one hand|rolls away neatly|covers my glasses]""",
            """[falls over my eyes|blows off at once|is too small for my head|cannot be tightened]""",
            "hood",
        ),
        Feature(
            "the [front zip|main zip|zip]",
            """[runs smoothly even with gloves on|feels solid|has a nice big puller|is backed by a proper flap]""",
            """[jams halfway up|broke after {n} wears|catches the lining every time|came apart at the bottom]""",
            "zip",
        ),
        Feature(
            "the [lining|padding|filling]",
            """[is warm without bulk|feels soft against the skin]
            [keeps me warm down to freezing|has not clumped in the wash]""",
            """[leaks feathers everywhere|clumped in the first wash]
            [is thinner than it looks|came loose inside the sleeve]""",
            "warmth",
        ),
        Feature(
            "the [cut|shape|fit]",
            """[leaves room for a sweater underneath|is flattering without being tight]
            [is long enough to sit on|does not ride up when I reach]""",
            """[is boxy and shapeless|is too tight across the shoulders]
            [rides up when I lift my arms|is made for someone with very short arms]""",
            "fit",
        ),
        Feature(
            "the [chest pocket|inside pocket|pocket layout]",
            """[takes my phone and keys|closes safely]
            [is easy to reach with a backpack on|is lined with something soft]""",
            """[is too shallow to trust|tore at the corner within {n} weeks]
            [lets the rain in|sits where the hip belt goes]""",
            "pockets",
        ),
        Feature(
            "the [stitching|seam work]",
            """[is neat all over|has held up well|is tidy inside and out|shows no loose ends]""",
            """[came undone under the arm|started to unravel after {n} wears]
            [is crooked at the collar|leaks at the shoulder]""",
            "quality",
        ),
    ),
    "Tops": (
        Feature(
            "the [fabric|material|cloth]",
            """[is soft from the first day|feels cool on hot days|dries fast]
            [is thick enough not to be see-through|does not cling when I sweat]
            [kept its shape after {n} washes|has a lovely weight|smells fresh even after a long run]""",
            """[pilled after {n} washes|is so thin that you can see through|scratches all day|feels like plastic]
            [smells after ten minutes|lost its shape in the wash|clings in all the wrong places]""",
            "fabric",
        ),
        Feature(
            "the [print|logo]",
            """[looks crisp|has not cracked after {n} washes]
            [is smaller and nicer than in the pictures|is stitched, not glued]""",
            """[started to peel after {n} washes|is crooked]
            [flaked off in the dryer|is far bigger than in the pictures]""",
            "print",
        ),
        Feature(
            "the [neckline|collar|neck]",
            """[sits flat|keeps its shape|is just high enough|does not scratch]""",
            """[stretched out after {n} washes|is so tight that I can hardly get in|curls at the edge|itches]""",
            "neckline",
        ),
        Feature(
            "the [length|cut|fit]",
            """[is just right|covers my lower back|is relaxed but not baggy]
            [suits me better than I expected|is slim without being tight]""",
            """[shrank by a full size|is far too short|is wide like a tent|twists to one side after a wash]""",
            "fit",
        ),
        Feature(
            "the [stitching|seam at the side|hem]",
            """[is flat and does not rub|is clean all around|has held up through {n} washes]""",
            """[rubs under the arms|came undone after {n} washes]
            [left a red mark on my skin|has loose threads everywhere]""",
            "stitching",
        ),
        Feature(
            "the [sleeve length|cut of the sleeves|shoulder area]",
            """[is spot on|gives me room to move|works for my long arms|is neat without pinching]""",
            """[is off by a mile|pinches when I reach up|is made for much shorter arms|bunches up under a jacket]""",
            "sleeves",
        ),
    ),
    "Trousers": (
        Feature(
            "the [waistband|waist|elastic]",
            """[sits comfortably|does not dig in|stays up on a run|is wide and soft|adjusts with a proper cord]""",
            """[rolls down all the time|digs into my belly]
            [lost its stretch after {n} washes|slides down as soon as I run]""",
            "waistband",
        ),
        Feature(
            "the [fabric|material]",
            """[stretches in every direction|is opaque when I bend]
            [dries while I have lunch|shrugs off mud|is light for summer]
            [shows no wear after {distance}|has not faded after {n} washes]""",
            """[went shiny at the knees|is see-through when I bend]
            [tore on a fence|attracts every dog hair|bobbled after {n} washes]""",
            "fabric",
        ),
        Feature(
            "the [leg|leg length|cut of the leg]",
            """[is slim but lets me climb|is long enough for once|tapers nicely|stays in place]""",
            """[is much too long|flaps about|rides up with every step|is tight at the calf and wide at the knee]""",
            "fit",
        ),
        Feature(
            "the [side pocket|back pocket|closed pocket]",
            """[holds my phone without bouncing|is deep and safe|is just right for a key and a card]""",
            """[is too small for any phone|has a hole after {n} weeks|lets the coins fall out|bulges like a bag]""",
            "pockets",
        ),
        Feature(
            "the [seam|stitching|inner seam]",
            """[does not chafe on long runs|is flat and strong|is double where it matters]""",
            """[split when I knelt down|chafes on anything over {distance}|came undone at the crotch]""",
            "seams",
        ),
    ),
    "Bags": (
        Feature(
            "the [back panel|padding at the back|carrying system]",
            """[lets some air through|takes the weight off my shoulders]
            [is comfortable even when full|fits my long back]""",
            """[presses into my spine|leaves me soaked in sweat|sags when full|has no padding to speak of]""",
            "comfort",
        ),
        Feature(
            "the [main compartment|inside|room inside]",
            """[swallows shoes, towel and a laptop|is bigger than it looks|opens wide|is bright, so I find things]""",
            """[is much smaller than promised|is one big hole without order|lost its lining after {n} weeks]""",
            "space",
        ),
        Feature(
            "the [strap|shoulder strap|buckle]",
            """[does not slip|adjusts in a second|is wide and soft|feels solid]""",
            """[tore off after {n} weeks|cuts into my shoulder|slips all the time|snapped on day {n}]""",
            "straps",
        ),
        Feature(
            "the [fabric|bottom|outer material]",
            """[shrugs off rain|wipes clean|stands on wet floors without soaking|has no scratch after {n} months]""",
            """[let the rain onto my laptop|wore through at the corner|frays at every edge|smells of glue]""",
            "material",
        ),
        Feature(
            "the [side pocket|front pocket|bottle pocket]",
            """[holds a big bottle|is easy to reach while walking|keeps the keys apart from the phone]""",
            """[is too tight for any bottle|dropped my keys on the first day|is useless when the pack is full]""",
            "pockets",
        ),
        Feature(
            "the [zip|zip of the main pocket]",
            """[glides nicely|is chunky and easy to grab|has not snagged once]""",
            """[gets stuck at the corner|split after {n} weeks|snags on the lining]""",
            "zip",
        ),
    ),
    "Accessories": (
        Feature(
            "the [wool|fabric|knit|yarn]",
            """[is soft and does not itch|keeps me warm even when wet]
            [has not pilled after {n} washes|breathes well]""",
            """[itches terribly|got a hole after {n} wears|pilled within days|stains everything in the wash]""",
            "fabric",
        ),
        Feature(
            "the [fit|cut|elastic]",
            """[stays where it should|is snug but never tight|is perfect for my size|has not stretched out]""",
            """[is far too loose|leaves marks on my skin]
            [stretched out after {n} wears|is for children, not for adults]""",
            "fit",
        ),
        Feature(
            "the [stitching|seam|edge]",
            """[does not rub|is flat and tidy|has held through {n} washes]""",
            """[came apart after {n} washes|rubs and gave me a blister|hangs in threads]""",
            "stitching",
        ),
        Feature(
            "the [warmth|weight|thickness]",
            """[is just right for autumn|is ideal for cold mornings]
            [surprised me in a good way|works from ten degrees down to frost]""",
            """[is nothing like what was promised|is not enough for any real cold|is too much for indoor use]""",
            "warmth",
        ),
    ),
    "Audio": (
        Feature(
            "the [sound|sound quality]",
            """[is clear and balanced|has a warm bass that never booms]
            [beats sets at twice the price|is rich even at low volume]""",
            """[is tinny and flat|crackles at higher volume|has no bass at all|cuts out on the left side]""",
            "sound",
        ),
        Feature(
            "the [battery|battery life]",
            """[lasts {n} days of commuting|gets me through a whole week]
            [charges in half an hour|holds up even in the cold]""",
            """[died after {n} weeks|is empty after a single run]
            [does not charge on one side|lasts half as long as promised]""",
            "battery",
        ),
        Feature(
            "the [connection|Bluetooth link|pairing]",
            """[is instant|never drops|reaches into the next room|switches between phone and laptop by itself]""",
            """[drops every few minutes|takes {n} attempts]
            [fails when the phone is in my pocket|mixes up two devices]""",
            "connection",
        ),
        Feature(
            "the [fit|shape|ear cushion]",
            """[stays put on a sprint|is comfortable for hours|works with glasses|is light enough to forget]""",
            """[falls out when I chew|hurts after twenty minutes|presses on my glasses|is made for bigger ears]""",
            "fit",
        ),
        Feature(
            "the [microphone|call quality]",
            """[is good enough for meetings|copes with wind|makes me sound close by]""",
            """[makes me sound as if under water|picks up every car|is useless outdoors]""",
            "calls",
        ),
        Feature(
            "the [case|charging case|set of buttons]",
            """[closes with a nice click|is small enough for a jeans pocket|works with wet fingers]""",
            """[does not close any more|scratches when you look at it|reacts to every touch of my hair]""",
            "case",
        ),
    ),
    "Watches": (
        Feature(
            "the [screen|display]",
            """[is easy to read in the sun|is bright and sharp|has no scratch after {n} months|wakes at once]""",
            """[is dark in sunlight|froze after {n} weeks|scratched on the first day|went blank on a run]""",
            "screen",
        ),
        Feature(
            "the [GPS|route tracking|distance]",
            """[agrees with the map to a few yards|locks on within seconds|stays accurate among tall houses]""",
            """[is off by a fifth|takes ten minutes to find me]
            [shows me running through the lake|drops out in the woods]""",
            "tracking",
        ),
        Feature(
            "the [strap|band|clasp]",
            """[is soft and does not sweat|holds well in the pool|is easy to change|suits a narrow wrist]""",
            """[gave me a rash|broke after {n} weeks|opens by itself|is too short for my wrist]""",
            "strap",
        ),
        Feature(
            "the [battery|battery life]",
            """[lasts {n} days with a run each morning|is better than promised|fills up over breakfast]""",
            """[is empty by the evening|got weaker after {n} weeks|lasts one long run at best]""",
            "battery",
        ),
        Feature(
            "the [app|software|sync]",
            """[is clear and quick|sends everything to my phone by itself|shows just what I need]""",
            """[lost {n} of my runs|crashes at every start|needs an account for everything|is a maze of menus]""",
            "app",
        ),
        Feature(
            "the [heart-rate sensor|sleep tracking|step count]",
            """[matches my chest strap|is plausible|helped me slow down on easy days]""",
            """[counts steps while I drive|is off by thirty beats|stops as soon as I sweat]""",
            "sensor",
        ),
    ),
    "Camping": (
        Feature(
            "the [fabric|outer fabric|material]",
            """[stood up to {n} nights of rain|dries quickly]
            [feels tougher than its weight|is dense and quiet in wind]""",
            """[let water in on the first night|tore in a light wind|smells so strongly that we left it open]""",
            "fabric",
        ),
        Feature(
            "the [pack size|weight]",
            """[is hard to beat|is fine for cycling tours]
            [fits below the seat of my van|is as promised on the label]""",
            """[is nowhere near what was promised|rules out any longer hike]
            [makes it impossible to get back into its sack]""",
            "weight",
        ),
        Feature(
            "the [zip|door zip]",
            """[runs in the dark without snagging|is strong|opens from both sides]""",
            """[eats the fabric every time|broke on night {n}|does not close at the bottom]""",
            "zip",
        ),
        Feature(
            "the [room inside|space|width]",
            """[is generous for the weight|suits someone over six feet|is enough for all my kit]""",
            """[is enough for a child at best|ends at my shoulders|is tighter than the drawing shows]""",
            "space",
        ),
        Feature(
            "the [comfort at night|warmth|ventilation]",
            """[is excellent for the season|surprised us near freezing|let us sleep until nine]""",
            """[left us shivering at ten degrees|is poor, everything was wet by morning|is not worth the name]""",
            "warmth",
        ),
    ),
    "Drinkware": (
        Feature(
            "the [lid|seal|cap]",
            """[has never leaked in my bag|opens with one thumb|comes apart for cleaning|closes with a good click]""",
            """[leaked all over my bag|cracked after {n} weeks]
            [is impossible to clean|needs two hands and a lot of strength]""",
            "lid",
        ),
        Feature(
            "the [insulation|double wall]",
            """[keeps tea hot until the afternoon|still held ice after {n} hours|works better than my old flask]""",
            """[gives up after an hour|is no better than a paper cup|failed after {n} weeks]""",
            "insulation",
        ),
        Feature(
            "the [finish|coating|paint]",
            """[survived {n} drops|goes through the dishwasher unharmed|feels nice in the hand]""",
            """[flaked off after {n} washes|scratched at once|sticks to the fingers]""",
            "finish",
        ),
        Feature(
            "the [size|shape|base]",
            """[fits my bike cage|is right for the cup holder|stands steady|goes under the coffee machine]""",
            """[fits no cup holder I know|tips over at every chance|is much smaller than it looks]""",
            "size",
        ),
        Feature(
            "the [taste|inside|smell of the inside]",
            """[is neutral even after coffee|stays clean|never picked up any odour]""",
            """[turned everything metallic|began to rust after {n} weeks|never lost that smell of plastic]""",
            "taste",
        ),
    ),
}

COMMON_FEATURES = (
    Feature(
        "the [price|price for this quality]",
        """[is more than fair|is hard to beat|made the choice easy]
        [was right, and lower than in town|is worth every cent]""",
        """[is a joke for what you get|is far too high]
        [went up by a third since last year|is what you pay for the name]""",
        "price",
    ),
    Feature(
        "the {colour} [in daylight|in person|on arrival]",
        """[is exactly as pictured|is even nicer than in the pictures]
        [goes with everything I own|is a lovely {tone}]""",
        """[has nothing to do with the pictures|is closer to {tone} than to {tone-2}]
        [was different on the left and the right|is dull and patchy]""",
        "colour",
    ),
    Feature(
        "[the overall quality|the workmanship|the finish]",
        """[is first class|is solid for the money|is what {brand} used to be known for]
        [feels made to last|beats my old {noun} from {other}]""",
        """[is poor for {brand}|has gone downhill]
        [is not what it was {n} years ago|would be poor at half the price]""",
        "quality",
    ),
)
"""What can be said of any product."""

SIZES = {
    "Shoes": "[half a size up|my usual size|a size {shoe-size}|one size up|half a size down]",
    "Jackets": "[an S|a medium|an L|an XL|my usual size|one size up]",
    "Tops": "[an S|a medium|an L|an XL|my usual size|one size down]",
    "Trousers": "[a size {waist}|a {waist} waist|my usual size|one size up|a medium]",
    "Accessories": "[a medium|an L|the one size there is|my usual size]",
}

OCCASIONS: dict[str, str] = {
    "Shoes": """for [my first half marathon|the local ten mile race|marathon training|my morning runs]
        for [standing all day at work|long shifts on the ward|walking the dog|my daily commute on foot]
        for [a week of hiking in [Scotland|Norway|the Alps|Vermont|Wales]|a city trip to [Lisbon|Rome|Boston|Prague]]
        for [the gym|indoor training|the new basketball season|my {relative}'s [first|third|fifth|tenth] race]""",
    "Jackets": """for [a trip to [Iceland|Scotland|Patagonia|the coast]|early dog walks|cycling to work|the ski season]
        for [wet autumn days|standing at the side line of my {relative}'s matches|the start of winter|sailing]""",
    "Tops": """for [summer runs|the gym|layering in winter|a long flight|my {relative}'s birthday|the office]
        for [a half marathon in [May|June|September]|lounging at home|camping trips|yoga on [Mondays|Thursdays]]""",
    "Trousers": """for [winter runs|the climbing wall|yoga|gardening|travelling light|a week on the [coast|Camino|North Way]]
        for [the gym|cycling to work|my {relative}|lazy Sundays|a course in the mountains]""",
    "Bags": """for [my commute by train|weekend trips|college|the gym before work|carry-on only travel|a new job]
        for [a day hike in [Wales|Maine|the Peaks|the Dolomites]|my {relative}'s first term|swimming on [Mondays|Fridays]]""",
    "Accessories": """for [winter runs|frosty dog walks|a ski trip|long hikes|my {relative}|cold mornings on the bike]
        for [the start of the season|work in the yard|a race in [March|November]]""",
    "Audio": """for [running|the daily train ride|calls from home|a long flight to [Tokyo|Lima|Sydney]|the gym|my {relative}]
        for [podcasts at work|mowing the lawn|night shifts|learning a language on the bus]""",
    "Watches": """for [marathon training|my first triathlon|open water swims|getting off the couch|my {relative}|rowing]
        for [the [thirtieth|fortieth|sixtieth] birthday of my {relative}|hikes without a phone|sleep tracking|interval training]""",
    "Camping": """for [a tour along the [coast|Danube|Loire|Great Divide]|a festival|three weeks in [Sweden|Canada|Utah]]
        for [bike trips|nights in the garden with my {relative}|an autumn hike|a motorbike tour]""",
    "Drinkware": """for [my desk|long drives|the gym|school runs|hikes with my {relative}|the commute|camping]
        for [tea on the train|iced coffee in summer|night shifts|the office kitchen]""",
}

WORDS: dict[str, str] = {
    "n": "two|three|four|five|six|seven|eight|nine|ten|twelve",
    "count": "2|3|4|5|6|7|8|10|12|15|20",
    "distance": "{tens} [miles|km]|a hundred miles|about {tens} miles",
    "tens": "20|30|40|50|60|80|120|150|200|250|300",
    "shoe-size": "6|7|7.5|8|8.5|9|9.5|10|10.5|11|12",
    "waist": "28|30|31|32|33|34|36|38",
    "relative": "wife|husband|son|daughter|brother|sister|mother|father|partner|neighbour|best friend|flatmate|niece",
    "weekday": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    "month": "January|February|March|April|May|June|July|August|September|October|November|December",
    "tone-2": "black|white|navy|green|brown|red|grey|olive|beige|blue|pink|yellow",
    "very": "very|really|so|extremely|absolutely|truly|thoroughly",
    "duration": """[about |just over |almost |]{n} [weeks|months]
        a [whole season|full winter|month or so|summer]
        half a year""",
    "height": "[5'{inch}|6'{low-inch}|1.{cm} m]",
    "inch": "1|2|3|4|5|6|7|8|9|10|11",
    "low-inch": "0|1|2|3|4",
    "cm": "58|62|65|68|70|73|75|78|80|83|86|90",
    "weight": "115|120|128|135|140|150|155|160|172|180|190|200|215|230",
    "bought": "bought|ordered|got|picked up|chose",
    # opinions about the whole ------------------------------------------------------------------------------------------
    "praise": """could not be happier
        {it} did not disappoint
        {it} {was} worth the wait
        I would buy {them} again [tomorrow|without a second thought|at full price|in another {colour}]
        {it} exceeded my expectations
        I [wear|use|take] {them} [almost every day|all the time|more than anything else I own]
        {it} turned out to be the best buy of the [year|season|summer|winter]""",
    "scorn": """what a disappointment
        {it} went straight back
        I regret every cent
        {it} did not even last {duration}
        I expected far more from {brand}
        {it} {is} not worth half the price
        I would not buy {them} again
        {it} now lie{s} in a [cupboard|drawer|corner]""",
    "verdict+": """{very} [comfortable|happy with {them}|pleased|impressed|satisfied]
        [great|excellent|superb|outstanding|lovely|fantastic|brilliant] [quality|value|choice|work by {brand}]""",
    "opening+": """[love|adore] {this} {noun}[!|.|, simply love {them}.]
        {this} {tone} {noun} {is} [exactly what I was looking for|the best I have had|a real find|just right {occasion}].
        {bought} {this} {occasion}, and {praise}.
        {bought} {this} {occasion} [last|this] [spring|summer|autumn|winter|{month}], and {praise}.
        I am {very} [pleased|happy|impressed] with {this} {brand} {noun}.
        [second|third|fourth|fifth] [time I buy {this} {noun}|order from {brand}], and {praise}.
        the {model} {is} [a great|a really good|an excellent|a superb|a lovely] [choice|buy] {occasion}.
        after [a lot of|weeks of|some] [searching|reading reviews|comparing] I {bought} the {model} {occasion}, and {praise}.
        my {relative} recommended {this} {brand} {noun} {occasion}, and {praise}.
        [finally|at last] {item} that {does} what {it} should.
        [I was sceptical at first, but|I did not expect much, but|I am picky, but] {praise}.
        replaced my old {noun} from {other} with {this}, and {praise}.
        {bought} {this} in {tone} for my {relative}, who [loves|adores|will not part with] {them}.""",
    "opening=": """{this} {noun} {is} [okay|fine|all right|decent], [no more and no less|but nothing special|for the price].
        I have mixed feelings about {this} {tone} {noun}.
        {bought} {this} {occasion}, and I am [undecided|in two minds|neither happy nor angry].
        I [wanted|hoped] to love the {model}, but {it} {is} only [average|so-so|okay].
        [some things are good, others are not|good idea, average result|half happy, half not].
        for [short trips|now|a beginner|once a week] {it} will do, for more {it} will not.
        compared with my old {noun} from {other}, {this} {is} [a step sideways|not better and not worse].""",
    "opening-": """{very} disappointed [in|with|by] {this} {brand} {noun}.
        {bought} {this} {occasion}, and {scorn}.
        {bought} {this} in {tone} [last|this] [spring|summer|autumn|winter|{month}], and {scorn}.
        I [wanted|really wanted|tried hard] to like {this} {noun}, but {scorn}.
        [do not buy|stay away from|save your money on] the {model}.
        the {model} [looked good in the pictures|had such good reviews|seemed ideal {occasion}], but {scorn}.
        [never again].
        I have been buying {brand} for {n} years, and {scorn}.
        my {relative} warned me about {this} {noun}, and was right.
        replaced my old {noun} from {other} with {this}, and {scorn}.""",
    "closing+": """[would recommend|highly recommended|recommended to anyone|can only recommend {them}].
        [will buy again|already ordered a second one in {tone}|thinking about {tone} next].
        {very} happy with my purchase[!|.]
        [thank you|well done|keep it up], {brand}[!|.]
        [worth every penny|a great buy|five stars from me|good value] [overall|in my book|without a doubt].
        if you need {item} [in {tone}|for yourself|for your {relative}|that last{s}], [look no further|buy {this}|you will not regret it].
        my {relative} wants {a-one} now, too.
        so yes, {praise}.""",
    "closing=": """all in all [okay|fine|average], but I would look [elsewhere|at {other}|around] next time.
        three stars [from me|for now|because it could be so much better].
        [fine|okay] for the price, [no more|nothing more|but do not expect wonders].
        I may keep {them}, I may not.
        would buy [on sale|at half the price|again only at a discount].""",
    "closing-": """[going back|sent {them} back|returning {them}] [tomorrow|today|this week|on {weekday}].
        [would not recommend|cannot recommend {them}|not recommended to anyone].
        {very} disappointed[.|, {brand}.|, and my {relative} says the same.]
        [next time I will buy {other} again|back to {other} for me|I should have stayed with {other}].
        [save your money|a waste of money|not worth the money|look elsewhere].
        customer service [never replied|took {n} days to answer|told me to read the label].
        so no, {scorn}.""",
    # frames around what is said of one feature; CLAUSE is put in when the rules are built -------------------------------
    "frame first+": """CLAUSE.
        CLAUSE, [just as I hoped|which matters to me|and that {occasion}|even after {duration}|and my {relative} noticed, too].
        I [like|love|am glad] that CLAUSE.
        [above all|what I like most|first of all]: CLAUSE.
        [honestly|so far|for me], CLAUSE, [which I did not expect|which is rare|and I am picky].
        CLAUSE, [and I have tried many|so I am happy|unlike on my old {noun}|better than with {other}].""",
    "frame+": """CLAUSE.
        CLAUSE.
        CLAUSE, [which matters to me|even after {duration}|and my {relative} noticed, too].
        I [also like|love|am glad] that CLAUSE.
        [best of all|another plus|even better|what else I like]: CLAUSE.
        [also|besides|honestly|so far|even on bad days], CLAUSE[.|.|!]
        CLAUSE, [so no complaints there|unlike on my old {noun}|better than with {other}].""",
    "frame first-": """CLAUSE.
        [sadly|unfortunately|honestly], CLAUSE.
        CLAUSE, [which is a shame|so {it} {is} of no use {occasion}|and that at this price|and my {relative} says the same].
        [the problem|my main complaint|what annoys me most]: CLAUSE.
        I [dislike|did not expect|cannot accept] that CLAUSE.
        CLAUSE, [unlike on my old {noun}|which never happened with {other}|and I have the photos to prove it].""",
    "frame-": """CLAUSE.
        CLAUSE.
        [to make it worse|on top of that|also|besides], CLAUSE.
        CLAUSE, [which is a shame|and that at this price|and my {relative} says the same].
        [another problem|what annoys me, too|the worst part]: CLAUSE.
        I [also dislike|did not expect|cannot accept] that CLAUSE.
        CLAUSE, [unlike on my old {noun}|which never happened with {other}].""",
    "frame but+": """[to be fair|on the plus side|in fairness|luckily], CLAUSE.
        the one good thing: CLAUSE.
        but CLAUSE.
        [I will say this|one thing I like], though: CLAUSE.""",
    "frame but-": """[however|on the other hand|on the downside|still], CLAUSE.
        but CLAUSE.
        the [weak point|downside|trouble] is that CLAUSE.
        then again, CLAUSE, [which is a pity|which spoils it a little|and that should be better].""",
    "niggle": """my only [complaint|quibble|gripe|wish]: [a wider choice of {colour}s|the tag is a bit scratchy|the care label is huge].
        {it} could come in [more {colour}s|{tone}|a less bulky box|more sizes].
        a small minus because [{it} {was} a bit late|the box was dented|{it} {was} cheaper a week later|of the smell on the first day].
        it took [a few days|a week|{n} days] to get used to, [but now all is well|then it was fine|nothing serious].
        the instructions could be [clearer|longer|larger], but that is a detail.
        [slightly|a little|a touch] [more expensive than {other}|darker than in the pictures|heavier than I thought], but fine.
        I would have liked a [bit more {tone} in it|simple storage bag|smaller logo].""",
    # neutral sentences: context ------------------------------------------------------------------------------------------
    "purchase": """{bought} {them} [online|in town|with a voucher|at the outlet|on a whim] [in {month}|before the sale|after the sale|on a {weekday}].
        I {bought} the {tone} [version|variant|model] [in {month}|from the sale|because {tone-2} was sold out].
        {it} {was} a [birthday|wedding|farewell|surprise] present [from|for] my {relative}.
        I went for {tone} because my {relative} already has {tone-2}.""",
    "ownership": """I have had {them} for {duration} now.
        {in-use} {them} [{count} times|almost daily|every {weekday}|at weekends|for {duration}] so far.
        this is my [first|second|third|fourth] {thing} [from|by] {brand}.
        before that I had {other-item} from {other} for {n} years.
        {in-use} {them} [in rain and sun|in all weathers|at home and away|on [Monday and Thursday|Tuesday and Friday|Wednesday and Sunday|Friday and Saturday]] [since {month}|all {month}|so far].""",
    "sizing": """I am {height} and [about |around |]{weight} lbs and took {size}.
        I [normally|usually] fall between two sizes and {bought} {size}.
        {it} run{s} a [bit|little|touch] [small|large], so [order|take|go for] {size}.
        my {relative} is {height} and took {size}.
        I ordered {size} after reading the size chart, and [it was right|it fits|that was right].""",
    "delivery+": """delivery [took only {n} days|was quick|came a day early|was as promised], [and the box was intact|well packed|thanks].
        arrived [on {weekday}|within {n} days|in time for the trip], [nicely wrapped|in a plain box|without any damage].""",
    "delivery=": """delivery took {n} days.
        {it} came on a {weekday} in a [plain|large|small|rather big] box.
        ordered on a {weekday} in {month}, arrived {n} days later.""",
    "delivery-": """delivery took {n} [days|weeks], and [nobody answered my mails|the box was torn|the parcel had been opened].
        arrived {n} days late, [without a word|in a broken box|and in the wrong {colour}].
        the parcel sat in a depot for {n} days[.|, without any news.]""",
    # a review of a single sentence says more in it, or it would be somebody else's, word for word -------------------------
    "single+": """{bought} {this} {brand} {type} in {tone} {occasion}, and {praise}.
        my {relative} and I both have the {tone} {model} {occasion}, and {praise}.
        {in-use} the {brand} {model} in {tone} {occasion} for {duration}, and {praise}.
        {very} good {type} {occasion}, [better|warmer|lighter|nicer|tougher] than my old {tone-2} {noun} from {other}, and {praise}.
        the {tone} {model} from {brand} arrived [on {weekday}|in {month}|{n} days ago], just right {occasion}.""",
    "single=": """{bought} {this} {brand} {type} in {tone} {occasion}, [okay, but no more|neither good nor bad|average at best].
        {in-use} the {brand} {model} in {tone} {occasion} for {duration}, and I am still undecided.
        the {tone} {model} {is} decent {occasion}, but my old {tone-2} {noun} from {other} did the job just as well.""",
    "single-": """{bought} {this} {brand} {type} in {tone} {occasion}, and {scorn}.
        {in-use} the {brand} {model} in {tone} {occasion} for {duration}, and {scorn}.
        the {tone} {model} from {brand} arrived [on {weekday}|in {month}|{n} days ago], and {scorn}.
        {bought} the {model} {occasion} because the {tone-2} {noun} from {other} was sold out, and {scorn}.""",
    # short ones ----------------------------------------------------------------------------------------------------------
    "short+": """[great|perfect|excellent|lovely|superb] {noun}[!|.|]
        [love|so happy with|very happy with] {them}[!|.|]
        [as described|just as pictured|works well|good quality|great value|top quality|nice][.|!|]
        [would buy again|does the job|very comfortable|exactly right][.|]""",
    "short=": """[okay|fine|all right|decent|average] [for the price|so far|but not great|I guess][.|]
        [could be better|not bad, not great|nothing special|it will do][.|]""",
    "short-": """[very disappointed|not worth it|poor quality|waste of money|fell apart|sent back|do not buy][.|!|]
        [bad|poor|terrible|useless] {noun}[.|!]""",
    # titles --------------------------------------------------------------------------------------------------------------
    "title 5": """[great|excellent|perfect|lovely|superb|fantastic|outstanding] {noun}
        [love|really love|could not be happier with] {them}[!|]
        [best|finest] {noun} I have [had|owned][!| in years| so far]
        great {feature-word}
        [great|perfect] {occasion}
        [five stars|highly recommended|worth every penny]
        [exactly as described|a keeper|so comfortable|better than expected]
        {brand} [at its best|does it again|never disappoints|got it right]
        [my {relative} loves {them}|my new favourite {noun}|great {feature-word}, great price]""",
    "title 4": """[good|very good|solid|really nice|decent] {noun}
        good {feature-word}, small flaws
        [almost perfect|nearly there|good, not perfect|four stars from me|good value|nice but pricey]
        [good|solid|nice] {noun} {occasion}
        [mostly|very] happy [with {them}|so far|after {duration}]
        good {feature-word}""",
    "title 3": """[okay|average|so-so|fine|mixed feelings]
        [okay|average|decent] {noun}[, nothing more| for the price|]
        [good idea, weak {feature-word}|mixed feelings about the {feature-word}|so-so {feature-word}]
        [not bad, not great|expected a bit more|fine for the price|undecided]""",
    "title 2": """[disappointing|not great|expected more|below average|not for me]
        [weak|poor|disappointing] {feature-word}
        disappointing {noun} [{occasion}|from {brand}]
        [not worth the price|would not buy again|disappointed after {duration}|had higher hopes]""",
    "title 1": """[terrible|awful|useless|very disappointing|avoid|never again|do not buy|waste of money]
        [terrible|awful|very poor|miserable] {feature-word}
        [fell apart|broken|useless] after {duration}
        [do not buy|avoid] {this} {noun}
        [very disappointed|shame on you, {brand}|sent {them} straight back|my last buy from {brand}]""",
    # the shifted topic: nothing in the usual reviews speaks of it
    "complaint": """the zipper [broke|jammed|came off|split] after [{n} weeks|{n} days|a month|the second use], and [I want a refund|still no refund|my refund was refused].
        I asked for a refund [{n} weeks ago|in {month}|twice|{n} times] because the zipper [broke|does not close|came off|is stuck].
        zipper broken on [arrival|day {n}|the first {weekday}], refund [refused|promised but never paid|still open after {n} weeks].""",
    # the catalogue -------------------------------------------------------------------------------------------------------
    "description": """{selling-word} {type} for {purpose}, [with|featuring|made with] {spec}[.|, in {tone}.|, now in {tone}.]
        the {model} {type} combine{s} {spec} with a [clean|modern|sporty|classic|minimal] [design|look][.| in {tone}.]
        designed for {purpose}: {selling-word} {type} in {tone} with {spec}.
        {brand} {model}: {selling-word} {type} with {spec}, [made for {purpose}|in {tone}].""",
    "detail": """[key features|at a glance|details]: {spec-2}[, tested by {brand}|, made to last|, a {n}-[month|year] warranty].
        [comes with|includes] {extra}.
        further details: {spec-2}, {extra}.""",
    "selling-word": "lightweight|durable|comfortable|versatile|breathable|robust|everyday|high-performance|reliable|soft|modern",
    "extra": "a [storage bag|care guide|printed manual|recycled box|gift box]|{n} [reflective stickers|name tags|stickers]",
    # search queries, as they are typed -------------------------------------------------------------------------------------
    "query words": """{brand-typed} {type}
        {type}
        {tone} {type}
        {brand-typed} {tone} {type}
        {type} {wish}
        {brand-typed} {model-typed}
        {type} {query-occasion}
        [best|cheap|good] {type}
        {brand-typed} {type} {who}
        {type} under {tens}
        [mens|womens|kids|unisex] {tone} {type}
        {brand-typed} {type} sale""",
    "who": "men|women|kids|mens|womens|for men|for women|unisex",
    "query-occasion": "for [work|travel|winter|summer|running|hiking|the gym|beginners|school|wide fit|everyday use]",
}

WISHES: dict[str, tuple[str, ...]] = {
    "Shoes": ("waterproof", "wide fit", "lightweight", "with arch support"),
    "Jackets": ("waterproof", "with hood", "lightweight", "windproof"),
    "Tops": ("long sleeve", "slim fit", "quick dry", "organic cotton"),
    "Trousers": ("with pockets", "high waist", "stretch", "quick dry"),
    "Bags": ("waterproof", "with laptop sleeve", "lightweight", "with shoe compartment"),
    "Accessories": ("merino", "thermal", "reflective", "touchscreen"),
    "Audio": ("noise cancelling", "waterproof", "with microphone", "long battery life"),
    "Watches": ("waterproof", "with heart rate", "slim", "long battery life"),
    "Camping": ("ultralight", "waterproof", "4 season", "compact"),
    "Drinkware": ("leakproof", "dishwasher safe", "with straw", "steel"),
}
"""What is asked for in a search and promised in a title: the wish of a query is met or not."""

SPECS: dict[str, str] = {
    "Shoes": """a [breathable mesh|knitted|recycled] upper
        a [grippy|non-marking|deep-lugged] rubber outsole
        a [responsive|soft|dual-density] foam midsole
        a [padded|firm] heel cup
        a removable insole""",
    "Jackets": """a [two-way|storm-proof] front zip
        [fully taped|bonded] seams
        an adjustable [hood|hem]
        a [windproof|water-repellent] shell
        {n} [hidden] pockets""",
    "Tops": """[flat|bonded] seams
        a [ribbed|soft] collar
        [moisture-wicking|fast-drying|brushed] fabric
        a [relaxed|regular|slim] fit
        [mesh|side] panels""",
    "Trousers": """an [elastic|adjustable] waistband
        [four-way stretch|quick-drying] fabric
        {n} [deep|side] pockets
        [reinforced|articulated] knees""",
    "Bags": """a [padded|ventilated] back panel
        a [14|15|16]-inch laptop sleeve
        a [wet|shoe] compartment
        [reflective|water-repellent] details
        a chest strap""",
    "Accessories": """[soft|itch-free] merino
        a [snug|seamless] fit
        [reinforced|reflective] details
        a [fleece|cotton] lining""",
    "Audio": """up to {tens} hours of battery
        a [compact|magnetic] charging case
        [touch|button] controls
        [clear|dual-microphone] calls""",
    "Watches": """a [sharp|always-on] display
        [built-in|dual-band] GPS
        a [silicone|woven] strap
        up to {count} days of battery""",
    "Camping": """[aluminium|flexible] poles
        a [bathtub|double-coated] floor
        a [compression|stuff] sack
        [taped|sealed] seams""",
    "Drinkware": """a [leak-proof|one-hand] lid
        [double-wall|vacuum] insulation
        a [powder-coated|brushed] finish
        a [wide|narrow] mouth""",
}

PURPOSES: dict[str, str] = {
    "Shoes": "long runs|daily training|wet trails|the city|the indoor court|all-day comfort",
    "Jackets": "wet commutes|cold mornings|mountain days|travel|changing weather|winter runs",
    "Tops": "warm days|the gym|layering|everyday wear|long runs|travel",
    "Trousers": "winter runs|yoga and stretching|hikes in any weather|training|days off",
    "Bags": "commuters|day hikes|short trips|the gym|students",
    "Accessories": "cold runs|the whole season|frosty mornings|active days",
    "Audio": "long runs|commuters|calls on the move|the gym|travel",
    "Watches": "runners|swimmers and cyclists|everyday fitness|better sleep|interval training",
    "Camping": "three-season tours|festivals|bike trips|light packing|families",
    "Drinkware": "the desk|long drives|the gym|hikes|school days",
}
"""What the catalogue says an article is for."""

_CLOTH_CARE = """machine wash at 30°C.|hand wash only, do not tumble dry.|[do not bleach|dry flat|wash inside out]."""
_HARD_CARE = (
    """wipe clean with a damp cloth.|[keep away from direct heat|store in a dry place|rinse with lukewarm water]."""
)
CARE: dict[str, str] = {category: _CLOTH_CARE if category in WORN[1:] else _HARD_CARE for category in CATEGORIES}
"""How to look after an article; shoes are wiped, other clothing is washed."""
