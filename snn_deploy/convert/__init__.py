"""From a trained network to Loihi integers: front ends, passes, discretisation, quantisation, artifact."""
