"""Pure, differentiable signal-processing functions: tensors in, tensors out.

Audio is ``(batch, channel, time)``; settings are ``(batch,)`` tensors in the unit their name ends
with. Every function that changes a signal adds a *difference* to it, so that neutral settings
return the input bit for bit while the gradient stays alive.
"""
