"""How do our dependencies keep what they see to themselves?"""

from __future__ import annotations

import os

_OFF = {
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "LITELLM_TELEMETRY": "False",
    "ORT_DISABLE_TELEMETRY": "1",
}


def switch_off() -> None:
    """Set the variables by which libraries are told to report nothing; call it before any of them is imported.

    What a person has set stays.
    """
    for name, value in _OFF.items():
        os.environ.setdefault(name, value)
