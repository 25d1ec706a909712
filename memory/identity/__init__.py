"""Who somebody is across channels: a phone number as a user id, the same for a call and for a message."""
