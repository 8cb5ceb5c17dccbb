TITLE = "t"
