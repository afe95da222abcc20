"""What is kept in MongoDB. `mongo` is the only module that imports the driver; the others say what is stored."""
