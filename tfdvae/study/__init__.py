"""Many runs that are compared: their plan, their jobs, their results and the report. `plan` needs no TensorFlow."""
