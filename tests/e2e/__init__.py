"""The whole system, from the front door to the inbox, in processes of its own."""
