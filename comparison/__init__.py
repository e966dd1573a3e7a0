"""Draws the same pictures without Clockwork and with it, and tells what each way costs and how far it strays.

May import `adaptors` and `clockwork_core`, never `nodes`.
"""
