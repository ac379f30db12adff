"""Studies of one question each: ``run(...)`` measures and returns plain values, ``text(...)`` prints them."""
