"""HTTP/1.1 as this server speaks it: what every connection may cost, and what is no request."""
