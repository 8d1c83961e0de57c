package state

import "fmt"

// ChangelogTopic names the changelog of a store, as Kafka Streams does.
func ChangelogTopic(application, store string) string {
	return application + "-" + store + "-changelog"
}

// Check reports what is wrong with a description, for an app of that id: names become topics and paths.
func (s *Spec) Check(application string) error {
	if err := CheckName("store", s.Name); err != nil {
		return err
	}
	if !s.Kind.Valid() {
		return fmt.Errorf("store %q: %s is not known", s.Name, s.Kind)
	}
	if s.Open == nil || s.Logged && s.FromChangelog == nil && !s.Replayed {
		return fmt.Errorf("store %q: Open must be given, and FromChangelog or Replayed if it is logged", s.Name)
	}
	if topic := ChangelogTopic(application, s.Name); s.Logged && len(topic) > 249 {
		return fmt.Errorf("store %q: its changelog topic %.60q... has %d characters, at most 249 are allowed: shorten the name of"+
			" the store or the application id", s.Name, topic, len(topic))
	}
	return nil
}
