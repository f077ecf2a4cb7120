;; A resource type of one component, used by another: handles are numbers of each component's own table, own ones move,
;; the destructor runs once, where the resource was made. CanonicalABI.md, `canon resource.new`, `.rep`, `.drop`.

(component
  (component $Maker
    (core module $Dtor
      (global $drops (mut i32) (i32.const 0))
      (global $last (mut i32) (i32.const 0))
      (func (export "dtor") (param i32)
        (global.set $drops (i32.add (global.get $drops) (i32.const 1)))
        (global.set $last (local.get 0)))
      (func (export "drops") (result i32) (global.get $drops))
      (func (export "last") (result i32) (global.get $last)))
    (core instance $dtor (instantiate $Dtor))
    (type $thing' (resource (rep i32) (dtor (core func $dtor "dtor"))))
    (export $thing "thing" (type $thing'))
    (core func $new (canon resource.new $thing'))
    (core func $rep (canon resource.rep $thing'))
    (core func $drop (canon resource.drop $thing'))
    (core module $M
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      ;; a borrow of one's own resource comes as what it stands for
      (func (export "peek") (param i32) (result i32) (local.get 0))
      ;; what comes back is a handle again
      (func (export "take") (param i32) (result i32)
        (local $rep i32)
        (local.set $rep (call $rep (local.get 0)))
        (call $drop (local.get 0))
        (local.get $rep))
      ;; the first free number is given out again, the last freed one first
      (func (export "numbers") (result i32)
        (local $a i32) (local $b i32) (local $c i32)
        (local.set $a (call $new (i32.const 1)))
        (local.set $b (call $new (i32.const 2)))
        (call $drop (local.get $a))
        (local.set $c (call $new (i32.const 3)))
        (call $drop (local.get $b))
        (call $drop (local.get $c))
        (i32.eq (local.get $a) (local.get $c))))
    (core instance $m (instantiate $M (with "" (instance
      (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
    (func (export "make") (param "rep" u32) (result (own $thing)) (canon lift (core func $m "make")))
    (func (export "peek") (param "t" (borrow $thing)) (result u32) (canon lift (core func $m "peek")))
    (func (export "take") (param "t" (own $thing)) (result u32) (canon lift (core func $m "take")))
    (func (export "numbers") (result bool) (canon lift (core func $m "numbers")))
    (func (export "drops") (result u32) (canon lift (core func $dtor "drops")))
    (func (export "last") (result u32) (canon lift (core func $dtor "last"))))

  (component $User
    (import "maker" (instance $maker
      (export "thing" (type $thing (sub resource)))
      (export "make" (func (param "rep" u32) (result (own $thing))))
      (export "peek" (func (param "t" (borrow $thing)) (result u32)))
      (export "take" (func (param "t" (own $thing)) (result u32)))))
    (alias export $maker "thing" (type $thing))
    (core func $make (canon lower (func $maker "make")))
    (core func $peek (canon lower (func $maker "peek")))
    (core func $take (canon lower (func $maker "take")))
    (core func $drop (canon resource.drop $thing))
    (core module $M
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "peek" (func $peek (param i32) (result i32)))
      (import "" "take" (func $take (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      ;; lent twice, then dropped
      (func (export "lend") (param i32) (result i32)
        (local $t i32) (local $sum i32)
        (local.set $t (call $make (local.get 0)))
        (local.set $sum (i32.add (call $peek (local.get $t)) (call $peek (local.get $t))))
        (call $drop (local.get $t))
        (local.get $sum))
      ;; given away
      (func (export "give") (param i32) (result i32) (call $take (call $make (local.get 0))))
      (func (export "give-twice") (param i32)
        (local $t i32)
        (local.set $t (call $make (local.get 0)))
        (drop (call $take (local.get $t)))
        (drop (call $take (local.get $t))))
      (func (export "drop-twice") (param i32)
        (local $t i32)
        (local.set $t (call $make (local.get 0)))
        (call $drop (local.get $t))
        (call $drop (local.get $t)))
      (func (export "drop-number") (param i32) (call $drop (local.get 0)))
      (func (export "peek-number") (param i32) (result i32) (call $peek (local.get 0))))
    (core instance $m (instantiate $M (with "" (instance
      (export "make" (func $make)) (export "peek" (func $peek)) (export "take" (func $take))
      (export "drop" (func $drop))))))
    (func (export "lend") (param "x" u32) (result u32) (canon lift (core func $m "lend")))
    (func (export "give") (param "x" u32) (result u32) (canon lift (core func $m "give")))
    (func (export "give-twice") (param "x" u32) (canon lift (core func $m "give-twice")))
    (func (export "drop-twice") (param "x" u32) (canon lift (core func $m "drop-twice")))
    (func (export "drop-number") (param "x" u32) (canon lift (core func $m "drop-number")))
    (func (export "peek-number") (param "x" u32) (result u32) (canon lift (core func $m "peek-number"))))

  (instance $maker (instantiate $Maker))
  (instance $user (instantiate $User (with "maker" (instance $maker))))
  (func (export "numbers") (alias export $maker "numbers"))
  (func (export "drops") (alias export $maker "drops"))
  (func (export "last") (alias export $maker "last"))
  (func (export "lend") (alias export $user "lend"))
  (func (export "give") (alias export $user "give")))

(assert_return (invoke "lend" (u32.const 20)) (u32.const 40))
(assert_return (invoke "drops") (u32.const 1))
(assert_return (invoke "last") (u32.const 20))
(assert_return (invoke "give" (u32.const 7)) (u32.const 7))
(assert_return (invoke "drops") (u32.const 2))
(assert_return (invoke "last") (u32.const 7))
(assert_return (invoke "numbers") (bool.const true))
(assert_return (invoke "drops") (u32.const 5))

;; Two resource types of one definition are two types; the same holds for two instances of a component.
(component
  (component $Maker
    (type $a' (resource (rep i32)))
    (type $b' (resource (rep i32)))
    (export $a "a" (type $a'))
    (export $b "b" (type $b'))
    (core func $new-a (canon resource.new $a'))
    (core func $drop-b (canon resource.drop $b'))
    (core module $M
      (import "" "new-a" (func $new-a (param i32) (result i32)))
      (import "" "drop-b" (func $drop-b (param i32)))
      (func (export "mix") (call $drop-b (call $new-a (i32.const 1)))))
    (core instance $m (instantiate $M (with "" (instance
      (export "new-a" (func $new-a)) (export "drop-b" (func $drop-b))))))
    (func (export "mix") (canon lift (core func $m "mix"))))
  (instance $m (instantiate $Maker))
  (func (export "mix") (alias export $m "mix")))
(assert_trap (invoke "mix") "handle index 1 used with the wrong type, expected guest-defined resource but found a different guest-defined resource")
