"""The stages between a message's bytes and a cloud's points: pure functions, in the order of the flow."""
