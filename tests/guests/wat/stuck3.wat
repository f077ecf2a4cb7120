;; stuck3: waits for ever, for a set with nothing in it.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "host" "set.new" (func $set.new (result i32)))
    (func (export "handle") (param i32) (result i32)
      (i32.or (i32.const 2) (i32.shl (call $set.new) (i32.const 4))))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
