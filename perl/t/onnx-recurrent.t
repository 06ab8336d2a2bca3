use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use Runtime;
use Zoo;
use File::Temp qw(tempdir);
use AI::MXNet qw(mx);
use AI::MXNet::Contrib::ONNX;
use List::Util ();

needs_operators(qw(RNN SequenceReverse));

my $dir = tempdir(CLEANUP => 1);
my $onnx = 'AI::MXNet::Contrib::ONNX';
my ($steps, $batch, $width, $hidden) = (7, 3, 5, 6);

sub uniform { return mx->nd->random->uniform(-1, 1, shape => [@_]) }

# All outputs of the graph in a file.
sub imported
{
    my ($file, $inputs) = @_;
    my ($symbol, $args, $states) = $onnx->import_model($file);
    return $symbol->bind(args => { %$args, %$inputs }, aux_states => $states)->forward(0);
}

sub comes_back
{
    my ($name, $file, $inputs, $want) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $again = imported($file, $inputs);
    is(scalar @$again, scalar @$want, "$name: as many outputs");
    my ($off) = sort { $b <=> $a } map { off_by($again->[$_], $want->[$_]) } 0 .. $#$want;
    cmp_ok($off, '<', 1e-6, "$name comes back");
    return agrees($name, $file, $inputs, $want, 1e-5);
}

mx->random->seed(11);

# -- layers of ours, with states that are given, and the states that they end in

for my $case ([LSTM => 1, 0], [LSTM => 2, 1], [GRU => 2, 1], [RNN => 1, 1, 'tanh'], [RNN => 2, 0, 'relu']) {
    my ($class, $layers, $both, @activation) = @$case;
    my $net = mx->gluon->rnn->$class(
        $hidden, $layers, (@activation ? (activation => @activation) : ()),
        input_size => $width,
        bidirectional => $both
    );
    $net->initialize;
    $_->set_data(uniform(@{ $_->shape }) * 0.5) for $net->collect_params->values;
    my %params = map { $_->name => $_->data } $net->collect_params->values;
    my $x = uniform($steps, $batch, $width);
    my @begin = map { uniform(@{ $_->shape }) } @{ $net->begin_state($batch) };
    my ($y, $ends) = @{ $net->($x, \@begin) };
    my @names = map { "begin$_" } 0 .. $#begin;
    my ($head, $last) = @{ $net->(mx->sym->var('data'), [map { mx->sym->var($_) } @names]) };
    my $file = $onnx->export_model(
        mx->sym->Group([$head, @$last]),
        \%params, [$x->shape, map { $_->shape } @begin],
        'float32', "$dir/layers.onnx"
    );
    my %inputs = (data => $x);
    @inputs{@names} = @begin;
    comes_back(join(' ', $class, @activation, "of $layers", $both ? 'both ways' : 'forward'),
        $file, \%inputs, [$y, @$ends]);
}

# -- sequences of several lengths

{
    my $size = mx->gluon->rnn->GRU($hidden, 1, input_size => $width, bidirectional => 1)->collect_params;
    my $count = 0;
    $count += List::Util::product(@{ $_->shape }) for $size->values;
    my %inputs = (x => uniform($steps, $batch, $width), h => uniform(2, $batch, $hidden));
    $inputs{lengths} = mx->nd->array([7, 2, 4]);
    my $v = uniform($count);
    my %set = (mode => 'gru', state_size => $hidden, num_layers => 1, bidirectional => 1, use_sequence_length => 1);
    my ($x, $w, $h, $n) = map { mx->sym->var($_) } qw(x w h lengths);
    my $net = mx->sym->RNN($x, $w, $h, $n, %set, name => 'rnn');
    my $want = $net->eval(args => { %inputs, w => $v });
    my @shapes = map { $inputs{$_}->shape } qw(x h lengths);
    comes_back('lengths', $onnx->export_model($net, { w => $v }, \@shapes, 'float32', "$dir/lengths.onnx"),
        \%inputs, $want);
}

# -- layers of others

my %gates = (LSTM => 4, GRU => 3, RNN => 1);

sub layer
{
    my ($op, $directions, $inputs, %attributes) = @_;
    my $rows = $gates{$op} * $hidden;
    my %tensors = (W => uniform($directions, $rows, $width), R => uniform($directions, $rows, $hidden));
    $tensors{B} = uniform($directions, 2 * $rows) if grep { $_ eq 'B' } @$inputs;
    $tensors{lengths} = mx->nd->array([4, 7, 1], dtype => 'int32') if grep { $_ eq 'lengths' } @$inputs;
    my @begin = grep { /^begin/ } @$inputs;
    my @outputs = $op eq 'LSTM' ? qw(Y H C) : qw(Y H);
    my @ends = ($directions, $batch, $hidden);
    return written(
        "$dir/layer.onnx",
        nodes => [[$op, ['X', 'W', 'R', @$inputs], \@outputs, hidden_size => $hidden, %attributes]],
        tensors => \%tensors,
        inputs => [[X => [$steps, $batch, $width]], map { [$_ => \@ends] } @begin],
        outputs => [[Y => [$steps, @ends]], map { [$_ => \@ends] } @outputs[1 .. $#outputs]]
    );
}

for my $case (
    [LSTM => 1, ['B']],
    [LSTM => 1, []],
    [LSTM => 1, ['B', ''], direction => 'reverse'],
    [LSTM => 2, ['B', '', 'begin_h', 'begin_c'], direction => 'bidirectional'],
    [LSTM => 1, ['B', 'lengths'], direction => 'reverse'],
    [LSTM => 2, ['B', 'lengths'], direction => 'bidirectional'],
    [GRU => 1, ['B'], linear_before_reset => 1],
    [GRU => 2, ['B', '', 'begin_h'], linear_before_reset => 1, direction => 'bidirectional'],
    [RNN => 1, ['', '', 'begin_h']],
    [RNN => 1, ['B'], activations => ['Relu'], direction => 'reverse'],
    [RNN => 2, ['B'], activations => [qw(Relu Relu)], direction => 'bidirectional']
    )
{
    my ($op, $directions, $inputs, %attributes) = @$case;
    my %given = (X => uniform($steps, $batch, $width));
    $given{$_} = uniform($directions, $batch, $hidden) for grep { /^begin/ } @$inputs;
    my $file = layer($op, $directions, $inputs, %attributes);
    my $name = join ' ', $op, $attributes{direction} // 'forward', grep { length } @$inputs;
    my $got = imported($file, \%given);
    is_deeply($got->[0]->shape, [$steps, $directions, $batch, $hidden], "$name: outputs of each direction");
    agrees($name, $file, \%given, $got, 1e-5);
}

# What a step of an LSTM is, by hand: gates i, o, f, c.
{
    my %tensors = (W => mx->nd->array([[[1], [2], [3], [4]]]), R => mx->nd->array([[[0.1], [0.2], [0.3], [0.4]]]));
    $tensors{B} = mx->nd->array([[0.5, 0, -0.5, 0, 0, 0.25, 0, 0.125]]);
    my @one = (1, 1, 1);
    written(
        "$dir/step.onnx",
        nodes => [[LSTM => [qw(X W R B), '', qw(h c)], [qw(Y H C)], hidden_size => 1]],
        tensors => \%tensors,
        inputs => [map { [$_ => \@one] } qw(X h c)],
        outputs => [[H => \@one], [C => \@one]]
    );
    my ($x, $h, $c) = (0.5, -1, 2);
    my ($i, $o, $f) = map { 1 / (1 + exp -$_) } $x + 0.1 * $h + 0.5, 2 * $x + 0.2 * $h + 0.25, 3 * $x + 0.3 * $h - 0.5;
    my $tanh = sub { (exp($_[0]) - exp -$_[0]) / (exp($_[0]) + exp -$_[0]) };
    my $next = $f * $c + $i * $tanh->(4 * $x + 0.4 * $h + 0.125);
    my %inputs = (X => $x, h => $h, c => $c);
    my $got = imported("$dir/step.onnx", { map { $_ => mx->nd->array([[[$inputs{$_}]]]) } keys %inputs });
    is_close($got->[0], [$o * $tanh->($next)], 'a step by hand: the output');
    is_close($got->[1], [$next], 'and the state');
}

# -- what cannot be

my @refused = (
    ['linear_before_reset 0 is not supported, want 1', GRU => 1, ['B']],
    ['activations Sigmoid Tanh Relu is not supported', LSTM => 1, ['B'], activations => [qw(Sigmoid Tanh Relu)]],
    ['layout 1 is not supported, want 0', LSTM => 1, ['B'], layout => 1],
    ['clip is not supported', LSTM => 1, ['B'], clip => 1.5],
    ['input_forget is not supported', LSTM => 1, ['B'], input_forget => 1],
);
for (@refused) {
    my ($why, $op, @layer) = @$_;
    my $file = layer($op, @layer);
    dies_with(sub { $onnx->import_model($file) }, qr/^import_model: $op Y with $why/, "$op: $why");
}

done_testing;
