"""What a run would take and bring, reckoned beforehand: pure arithmetic, with the source of every formula."""
