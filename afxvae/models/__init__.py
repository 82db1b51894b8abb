"""The networks: encoder, conditional VAE, critic, and `AFXStyleVAE`, which joins them."""
