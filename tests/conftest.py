# Fixtures and options for every Python test; see hearth_up.py.
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from hearth_up import *  # noqa: E402, F401, F403
