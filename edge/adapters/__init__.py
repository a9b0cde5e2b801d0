"""What touches the world: cameras, pins, readers, runtimes, clocks, and the simulated world. Floor 5."""
