"""What each number means that a command ends with or the doctor finds: a page each, for terminal and docs."""
