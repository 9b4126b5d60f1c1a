"""Models, their tensors, and the part of them that each rank writes. Pure."""
