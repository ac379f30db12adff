"""The forms of a network, from floats in continuous time to integers, and the laws that hold for them."""
