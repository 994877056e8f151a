"""May we write to this person, about what, and how do they change that?"""
