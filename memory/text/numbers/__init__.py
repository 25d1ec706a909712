"""Number words read as numbers: `spoken` for every language, `composed` where the words stand in its file."""
