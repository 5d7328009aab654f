"""Any table becomes examples: read, its columns told apart, its rows split, its cells prepared."""
