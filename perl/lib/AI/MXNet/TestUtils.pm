package AI::MXNet::TestUtils;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Base;
use Exporter qw(import);
use Scalar::Util qw(blessed);

our @EXPORT_OK = qw(
    same reldiff almost_equal GetMNIST_ubyte GetCifar10 pdl_maximum pdl_minimum mlp2 conv dies_ok check_consistency zip assert enumerate
    same_array dies_like allclose rand_shape_2d rand_shape_3d rand_sparse_ndarray random_arrays rand_ndarray randint pdl
);

sub _pdls
{
    my ($who, @pdls) = @_;
    for my $pdl (@pdls) {
        AI::MXNet::Keshi::fail("$who: got " . ($pdl // 'undef') . ', want a PDL')
            if not blessed($pdl)
            or not $pdl->isa('PDL');
    }
    return @pdls;
}

# -- comparing PDLs

sub same
{
    my ($x, $y) = _pdls('same', @_);
    return 0 if join(',', $x->dims) ne join(',', $y->dims);
    return (($x == $y) | (($x != $x) & ($y != $y)))->all ? 1 : 0;
}

sub allclose
{
    my ($x, $y) = _pdls('allclose', @_[0, 1]);
    my $threshold = $_[2] // 1e-6;
    return (($x - $y)->abs <= $threshold)->all ? 1 : 0;
}

sub reldiff
{
    my ($x, $y) = _pdls('reldiff', @_);
    my $difference = ($x - $y)->abs->sum;
    return 0 if $difference == 0;
    return $difference / ($x->abs->sum + $y->abs->sum);
}

sub almost_equal
{
    my ($x, $y, $threshold) = @_;
    return reldiff($x, $y) <= ($threshold // 1e-6) ? 1 : 0;
}

sub pdl_maximum
{
    my ($x, $y) = @_;
    return ($x + $y + ($x - $y)->abs) / 2;
}

sub pdl_minimum
{
    my ($x, $y) = @_;
    return ($x + $y - ($x - $y)->abs) / 2;
}

# Whether two arrays share memory.
sub same_array
{
    my ($x, $y) = @_;
    $x += 1;
    my $shared = same($x->aspdl, $y->aspdl);
    $x -= 1;
    return $shared && same($x->aspdl, $y->aspdl) ? 1 : 0;
}

# -- dying

sub dies_ok
{
    my ($code, $name) = @_;
    return Test::More::ok(!eval { $code->(); 1 }, $name // 'dies');
}

sub dies_like
{
    my ($code, $pattern) = @_;
    return 0 if eval { $code->(); 1 };
    return 1 if $@ =~ $pattern;
    warn $@;
    return 0;
}

# -- random things, by Perl's own generator

sub randint
{
    my ($low, $high) = @_;
    $low //= 0;
    my $drawn = int rand($high // 10);
    return $drawn < $low ? $low : $drawn;
}

sub rand_shape_2d
{
    my ($rows, $columns) = @_;
    return [randint(1, ($rows // 10) + 1), randint(1, ($columns // 10) + 1)];
}

sub rand_shape_3d
{
    my ($x, $y, $z) = @_;
    return [map { randint(1, ($_ // 10) + 1) } $x, $y, $z];
}

sub random_arrays
{
    my @arrays = map { PDL->random(reverse @$_)->float } @_;
    return @arrays == 1 ? $arrays[0] : @arrays;
}

sub rand_ndarray
{
    my ($shape, $stype, $density, @more) = @_;
    return AI::MXNet::NDArray->array(scalar random_arrays($shape)) if ($stype // 'default') eq 'default';
    my %names = (
        dtype => $more[0],
        modifier_func => $more[1],
        shuffle_csr_indices => $more[2],
        distribution => $more[3]
    );
    my ($array) = rand_sparse_ndarray(
        $shape, $stype,
        density => $density // rand,
        map { defined $names{$_} ? ($_ => $names{$_}) : () } keys %names
    );
    return $array;
}

sub rand_sparse_ndarray
{
    my ($shape, $stype, %opt) = @_;
    return AI::MXNet::NDArray::Sparse->random($shape, $stype, %opt);
}

# -- two networks

sub mlp2
{
    my $sym = 'AI::MXNet::Symbol';
    my $net = $sym->FullyConnected(data => $sym->Variable('data'), name => 'fc1', num_hidden => 1000);
    $net = $sym->Activation(data => $net, act_type => 'relu');
    return $sym->FullyConnected(data => $net, name => 'fc2', num_hidden => 10);
}

sub conv
{
    my $sym = 'AI::MXNet::Symbol';
    my $net = $sym->Variable('data');
    for my $i (1, 2) {
        $net = $sym->Convolution(
            data => $net,
            name => "conv$i",
            num_filter => 32,
            kernel => [3, 3],
            stride => [2, 2]
        );
        $net = $sym->BatchNorm(data => $net, name => "bn$i");
        $net = $sym->Activation(data => $net, name => "relu$i", act_type => 'relu');
        $net = $sym->Pooling(
            data => $net,
            name => "mp$i",
            kernel => [2, 2],
            stride => [2, 2],
            pool_type => 'max'
        );
    }
    $net = $sym->FullyConnected(
        data => $sym->Flatten(data => $net, name => 'flatten'),
        name => 'fc',
        num_hidden => 10
    );
    return $sym->SoftmaxOutput(data => $net, name => 'sm');
}

# -- one network on several contexts or with several dtypes

my %tolerance = (float16 => 1e-1, float32 => 1e-3, float64 => 1e-5);
my %width = (float16 => 1, float32 => 2, float64 => 3);

# What an executor computed: its outputs, and its gradients after a backward pass.
sub _results
{
    my ($symbol, $executor, $with_gradients) = @_;
    my %results;
    @results{ @{ $symbol->list_outputs } } = @{ $executor->outputs };
    return \%results if not $with_gradients;
    my $grads = $executor->grad_dict;
    $results{"grad of $_"} = $grads->{$_} for grep { defined $grads->{$_} } keys %$grads;
    return \%results;
}

sub _compare
{
    my ($arg, $pass, $truth, @all) = @_;
    for my $i (0 .. $#all) {
        for my $name (sort keys %$truth) {
            my ($got, $want) = map { $_->{$name}->aspdl->double } $all[$i], $truth;
            my $tolerance = $arg->{tol} // $tolerance{ $all[$i]{$name}->dtype } // 0;
            $tolerance = $tolerance->{ $all[$i]{$name}->dtype } // 0 if ref $tolerance;
            next if almost_equal($got, $want, $tolerance);
            my $message =
                sprintf
                'check_consistency: %s: %s of entry %d differs, got a relative difference of %g, want at most %g',
                $pass, $name, $i, reldiff($got, $want), $tolerance;
            AI::MXNet::Keshi::fail($message) if $arg->{raise_on_err};
            warn "$message\n";
        }
    }
    return;
}

sub check_consistency
{
    my %arg = (scale => 1, grad_req => 'write', arg_params => {}, aux_params => {}, raise_on_err => 1, @_);
    my @entries = @{ $arg{ctx_list} // [] };
    AI::MXNet::Keshi::fail('check_consistency: got ' . @entries . ' entries in ctx_list, want at least two')
        if @entries < 2 and not $arg{ground_truth};
    my @symbols = ref $arg{sym} eq 'ARRAY' ? @{ $arg{sym} } : ($arg{sym}) x @entries;
    my @executors = map { $symbols[$_]->simple_bind(grad_req => $arg{grad_req}, %{ $entries[$_] }) } 0 .. $#entries;

    # The same random numbers everywhere, in the widest form before they are rounded.
    my (%args, %aux);
    for my $executor (@executors) {
        my $arrays = $executor->arg_dict;
        for my $name (sort keys %$arrays) {
            $args{$name} //= $arg{arg_params}{$name}
                // (PDL->random(reverse @{ $arrays->{$name}->shape }) * 2 - 1) * $arg{scale};
            $arrays->{$name}->set(AI::MXNet::NDArray->array($args{$name}, dtype => 'float64'));
        }
        $arrays = $executor->aux_dict;
        for my $name (sort keys %$arrays) {
            $aux{$name} //= $arg{aux_params}{$name};
            $arrays->{$name}->set($aux{$name} // 0);
        }
    }
    my @dtypes = map { $_->outputs->[0]->dtype } @executors;
    my ($widest) = sort { ($width{ $dtypes[$b] } // 0) <=> ($width{ $dtypes[$a] } // 0) } 0 .. $#dtypes;

    $_->forward(0) for @executors;
    my @results = map { _results($symbols[$_], $executors[$_], 0) } 0 .. $#executors;
    my $truth = $arg{ground_truth} // $results[$widest];
    _compare(\%arg, 'predicting', { map { $_ => $truth->{$_} } keys %{ $results[0] } }, @results);
    return $truth if $arg{grad_req} eq 'null';

    for my $executor (@executors) {
        $executor->forward(1);
        $executor->backward([map { $_->copy } @{ $executor->outputs }]);
    }
    @results = map { _results($symbols[$_], $executors[$_], 1) } 0 .. $#executors;
    $truth = $arg{ground_truth} // $results[$widest];
    _compare(\%arg, 'training', $truth, @results);
    return $truth;
}

# -- data sets, from ./data where they are there already

sub _fetch
{
    my ($archive, @files) = @_;
    mkdir 'data' if not -d 'data';
    return 1 if not grep { !-f "data/$_" } @files;
    system('wget', '-q', "http://data.mxnet.io/mxnet/data/$archive", '-P', 'data') == 0
        or AI::MXNet::Keshi::fail("cannot fetch $archive; put @files into ./data");
    system('unzip', '-q', '-o', "data/$archive", '-d', 'data') == 0
        or AI::MXNet::Keshi::fail("cannot unpack data/$archive");
    return 1;
}

sub GetMNIST_ubyte
{
    return _fetch('mnist.zip',
        qw(train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte));
}

sub GetCifar10
{
    return _fetch('cifar10.zip', qw(cifar/train.rec cifar/test.rec cifar/train.lst cifar/test.lst));
}

1;

__END__

=head1 NAME

AI::MXNet::TestUtils - comparisons and random data for tests

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::TestUtils qw(almost_equal same_array random_arrays);
    my $x = nd->array(scalar random_arrays([2, 3]));
    print almost_equal(($x * 2)->aspdl, $x->aspdl * 2) ? "equal\n" : "not equal\n";
    print same_array($x, $x->reshape([6])->reshape([2, 3])) ? "shared\n" : "copied\n";

=head1 DESCRIPTION

Everything is exported on request.

C<same>, C<allclose>, C<reldiff> and C<almost_equal> compare PDLs; C<same_array> tells whether two arrays share memory.
C<dies_ok> is a test that a sub dies, C<dies_like> tells whether its error matches. C<randint>, C<rand_shape_2d>,
C<rand_shape_3d>, C<random_arrays> and C<rand_ndarray> draw with Perl's C<rand>. C<mlp2> and C<conv> are networks;
C<GetMNIST_ubyte> and C<GetCifar10> fetch data sets into F<./data> unless they are there.

C<check_consistency(sym =E<gt> $symbol, ctx_list =E<gt> [{ ctx =E<gt> ..., shapes =E<gt> ..., type_dict =E<gt> ... }, ...], scale =E<gt> 1, grad_req =E<gt>
'write', arg_params =E<gt>, aux_params =E<gt>, tol =E<gt>, ground_truth =E<gt>, raise_on_err =E<gt> 1)> binds the symbol once for each entry, fills all
with the same random numbers, and dies where outputs or gradients differ from those of the widest dtype. C<tol> is a number, or a
hash by dtype.

=cut
