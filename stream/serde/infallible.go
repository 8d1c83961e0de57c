package serde

// What follows has an Append that cannot fail: see [Infallible].

func (stringSerde) Infallible()  {}
func (bytesSerde) Infallible()   {}
func (viewSerde) Infallible()    {}
func (fixed8[T]) Infallible()    {}
func (fixed16[T]) Infallible()   {}
func (fixed32[T]) Infallible()   {}
func (fixed64[T]) Infallible()   {}
func (float32Serde) Infallible() {}
func (float64Serde) Infallible() {}
func (boolSerde) Infallible()    {}
func (timeSerde) Infallible()    {}
func (uuidSerde) Infallible()    {}
