package oracle

import (
	"context"
	"errors"
	"strings"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func init() {
	transcriptPrograms["joinGlobal"] = program(joinGlobalProgram)
}

func sick(v string) error {
	if strings.Contains(v, "sick") {
		return errors.New("sick")
	}
	return nil
}

// joinGlobalProgram joins orders, whose values are "user,what", with the users; the order "...,none" has no user.
func joinGlobalProgram(b *stream.Builder) {
	users := stream.GlobalTableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	orders := on(b, "orders")
	user := func(_ context.Context, _, o string) (some, error) {
		who, what, _ := strings.Cut(o, ",")
		if what == "none" {
			return some{}, nil
		}
		return stream.Some(who), nil
	}
	text := stream.WithValue(serde.String)
	stream.TryJoinGlobalOpt(orders, users, user, func(_ context.Context, k, o, u string) (string, error) {
		return k + ":" + o + "/" + u, sick(u)
	}).To("inner", text)
	stream.TryLeftJoinGlobalOpt(orders, users, user, func(_ context.Context, k, o string, u some) (string, error) {
		return k + ":" + o + "/" + u.Or("?"), nil
	}).To("left", text)
	// The table's topic may be written by the program itself.
	stream.SelectKey(on(b, "renames"), func(_, v string) string { return first(v) }).To("users")
}
