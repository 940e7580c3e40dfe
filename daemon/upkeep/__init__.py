"""What keeps the service running unattended: who leads, what is due, what is wrong, who is told.

Each module owns one of these. Nothing here drafts, trains, judges or serves.
"""
