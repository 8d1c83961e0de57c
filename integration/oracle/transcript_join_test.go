package oracle

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func init() {
	transcriptPrograms["joinGlobal"] = program(joinGlobalProgram)
	transcriptPrograms["joinStream"] = program(joinStreamProgram)
	transcriptPrograms["joinSick"] = program(joinSickProgram)
	transcriptPrograms["joinGrace"] = program(joinGraceProgram)
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

// joinStreamProgram joins two streams in all three ways, with the same window.
func joinStreamProgram(b *stream.Builder) {
	w := stream.Within(0).Before(10 * time.Millisecond).After(20 * time.Millisecond).Grace(5 * time.Millisecond)
	a, r, text := on(b, "a"), on(b, "b"), stream.WithValue(serde.String)
	stream.JoinStream(a, r, w, func(_, l, r string) string { return l + "+" + r }).To("inner", text)
	stream.LeftJoinStream(a, r, w, func(_, l string, r some) string { return l + "+" + r.Or("?") }).To("left", text)
	stream.OuterJoinStream(a, r, w, func(_ string, l, r some) string { return l.Or("?") + "+" + r.Or("?") }).To("outer", text)
}

// joinSickProgram is an outer join whose joiner fails for some records.
func joinSickProgram(b *stream.Builder) {
	w := stream.Within(10 * time.Millisecond).Grace(5 * time.Millisecond)
	stream.TryOuterJoinStream(on(b, "a"), on(b, "b"), w, func(_ context.Context, _ string, l, r some) (string, error) {
		return l.Or("?") + "+" + r.Or("?"), sick(l.Or("") + r.Or(""))
	}, stream.As("j")).To("out", stream.WithValue(serde.String))
}

// joinGraceProgram joins orders with the price that held at their time, 10 ms later.
func joinGraceProgram(b *stream.Builder) {
	prices := tableOn(b, "prices", stream.As("prices"), stream.Versioned(time.Minute))
	orders, grace, text := on(b, "orders"), stream.Grace(10*time.Millisecond), stream.WithValue(serde.String)
	stream.TryJoinTable(orders, prices, func(_ context.Context, _, o, p string) (string, error) {
		return o + "/" + p, sick(o)
	}, grace).To("inner", text)
	stream.LeftJoinTable(orders, prices, func(_, o string, p some) string { return o + "/" + p.Or("?") }, grace).To("left", text)
}
