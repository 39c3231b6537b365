"""Evaluate trained runs on test images, as numbers, pictures and tables. `options` needs no TensorFlow."""
