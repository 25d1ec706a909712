"""One file per language: closed-class words that say who is meant and whether something is so, and whole
sentences in which callers ask something of their memory.

Read by `memory/text/language.py` only. A language without a file is learned and recalled all the same; what
these words would have told apart is then left to the model. Adding a language is adding a file;
docs/languages.md says what each key is for.
"""
