"""Many runs that are compared: what is trained, what is kept of it, and the report. `plan` needs no TensorFlow."""
