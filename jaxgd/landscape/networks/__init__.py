"""Losses of networks: their curvature, planes through them, what training passes."""
