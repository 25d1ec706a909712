"""What people and other programs see of memory, page by page, and how they correct it by hand.

Imported by `api`, the command line and what recalls without a call; it asks stores, recall and privacy, and
stands on no call's path.
"""
