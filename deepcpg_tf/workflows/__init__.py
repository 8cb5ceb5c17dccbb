"""The verbs: what the package does from files to files, one a module.

Each checks all that can be checked before TensorFlow is imported or anything computed.
"""
