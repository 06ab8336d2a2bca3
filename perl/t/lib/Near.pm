package Near;
use strict;
use warnings;
use Test::More ();
use Exporter qw(import);

our @EXPORT = qw(is_close is_array dies_with needs_operators);

# Fails at once, and by name, where the library lacks some of these.
sub needs_operators
{
    my @missing = grep { !AI::MXNet::NDArray->can($_) } @_;
    return if not @missing;
    return Test::More::BAIL_OUT("the library lacks the operators @missing");
}

sub _list
{
    my $x = shift;
    return ref $x eq 'ARRAY' ? @$x : $x->aspdl->list;
}

# Passes when all values agree; says which cells differ first.
sub is_close
{
    my ($got, $want, $name, $tolerance) = @_;
    $tolerance //= 1e-6;
    my @got = _list($got);
    my @want = _list($want);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::is(scalar @got, scalar @want, "$name: as many values") if @got != @want;
    my @off = grep {
        my ($g, $w) = ($got[$_], $want[$_]);
        !($g == $w or $g != $g && $w != $w or abs($g - $w) <= $tolerance * (1 + abs $w))
    } 0 .. $#want;
    return Test::More::pass($name) if not @off;
    Test::More::fail($name);
    Test::More::diag("cell $_: got $got[$_], want $want[$_]") for grep { defined } @off[0 .. 4];
    return 0;
}

# Shape, dtype and values.
sub is_array
{
    my ($got, $shape, $values, $name, $dtype) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $about = join(',', @{ $got->shape }) . ' ' . $got->dtype;
    my $wanted = join(',', @$shape) . ' ' . ($dtype // 'float32');
    return Test::More::is($about, $wanted, $name) if $about ne $wanted;
    return is_close($got, $values, $name);
}

# The code dies with a text that matches, at a line of the statement that calls this.
sub dies_with
{
    my ($code, $pattern, $name) = @_;
    my ($package, $file, $line) = caller;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::fail("$name: lives") if eval { $code->(); 1 };
    my $error = $@;
    return Test::More::like($error, $pattern, $name) if $error !~ $pattern;
    my ($at) = $error =~ / at \Q$file\E line (\d+)\.$/m;
    return Test::More::ok($at && abs($at - $line) <= 6, "$name: at the caller's line") || Test::More::diag($error);
}

1;
