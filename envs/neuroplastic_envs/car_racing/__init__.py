"""CarRacing, the same task as Gymnasium's CarRacing-v3: track, physics and picture, each in files of its own."""
