"""What our ports speak: certificates, made and renewed here, and the door that shows them."""
