"""The engines that run an artifact: float, fixed, lava, loihi2."""
