fn main() {
    unimplemented!()
}
