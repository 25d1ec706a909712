"""What a model claims about a conversation, and whether the words it quotes bear that out."""
