"""Imports what is not installed."""

import not_there
