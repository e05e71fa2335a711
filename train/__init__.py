"""The full model: denoising autoencoder, residual CNN, bidirectional LSTM, soft attention."""
