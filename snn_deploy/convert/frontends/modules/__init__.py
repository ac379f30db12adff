"""torch modules of any framework, walked into NIR: what is common to the front ends of frameworks."""
