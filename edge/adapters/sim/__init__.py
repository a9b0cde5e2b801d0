"""The simulated world: a small scene in front of the flap, and the twins of camera, pins and reader that look at it."""
