"""What paths through a super-network learn."""
