"""Pictures of scenes, maps, polygons, changes and scores."""
