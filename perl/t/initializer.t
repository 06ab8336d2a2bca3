use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempdir);
use AI::MXNet qw(mx);

needs_operators(qw(_random_uniform _random_normal dot take));

sub filled
{
    my ($init, $name, $shape, @attrs) = @_;
    my $array = nd->ones($shape) * 9;
    $init->(mx->init->InitDesc($name, @attrs), $array);
    return $array;
}

# -- distributions

mx->random->seed(7);
for my $case (['uniform', 'avg', 3], ['gaussian', 'in', 2], ['uniform', 'out', 6]) {
    my ($type, $factor, $magnitude) = @$case;
    my $x = filled(mx->init->Xavier(rnd_type => $type, factor_type => $factor, magnitude => $magnitude),
        'c_weight', [80, 40, 3, 3])->aspdl->double;
    my %fan = (avg => 60 * 9, in => 40 * 9, out => 80 * 9);
    my $scale = sqrt($magnitude / $fan{$factor});
    my $deviation = $type eq 'uniform' ? $scale / sqrt 3 : $scale;
    ok(abs(sqrt(($x**2)->avg) / $deviation - 1) < 0.02, "Xavier @$case: its deviation");
    ok($type eq 'gaussian' ? $x->abs->max > 2 * $scale : $x->abs->max <= $scale, "Xavier @$case: its bound");
}
for my $shape ([6, 3], [3, 6], [4, 4], [4, 2, 3]) {
    my $x = filled(mx->init->Orthogonal(scale => 2), 'o_weight', $shape)->reshape([$shape->[0], -1]);
    my ($rows, $columns) = @{ $x->shape };
    my $gram = $rows <= $columns ? nd->dot($x, $x->T) : nd->dot($x->T, $x);
    my $side = $gram->shape->[0];
    is_close(
        $gram,
        [
            map {
                my $i = $_;
                map { $i == $_ ? 4 : 0 } 0 .. $side - 1
            } 0 .. $side - 1
        ],
        "Orthogonal @$shape",
        1e-5
    );
}
is_close(filled(mx->init->Bilinear, 'up_weight', [1, 1, 4, 4])->slice('X', 'X', 1, 'X')->sever,
    [map { 0.75 * $_ } 0.25, 0.75, 0.75, 0.25], 'Bilinear');
is_close(
    filled(mx->init->Bilinear, 'up_weight', [2, 3, 2, 4]),
    [
        map {
            my $y = $_;
            map { $y * $_ } 0.25, 0.75, 0.75, 0.25
        } (0.25, 0.75) x 6
    ],
    'Bilinear, the same for all channels'
);

# -- names and texts

is(mx->init->Constant(0.5) . '', '["constant",{"value":"0.5"}]', 'as text');
for my $init (mx->init->Xavier(magnitude => 2), mx->init->LSTMBias(3), mx->init->Uniform(0.5), mx->init->Zero) {
    my $again = AI::MXNet::Initializer->create("$init");
    is("$again", "$init", "$init makes the same again");
}
is(ref(AI::MXNet::Initializer->create('XAVIER')), 'AI::MXNet::Xavier', 'by name in any case');
dies_with(
    sub { mx->init->Zero->(mx->init->InitDesc("x", attrs => { __init__ => "nosuch" }), nd->zeros([1])) },
    qr/Cannot find initializer nosuch/,
    'an unknown name'
);
is_close(
    filled(mx->init->Zero, 'any', [4], attrs => { __init__ => '["lstmbias", {"forget_bias": "2"}]' }),
    [0, 2, 0, 0],
    'an initializer in the attributes'
);
my $fused = mx->init->FusedRNN(
    init => mx->init->Constant(1),
    num_hidden => 1,
    num_layers => 2,
    mode => 'lstm',
    bidirectional => 1,
    forget_bias => 5
);
my $vector = filled(mx->init->Zero, 'p', [4 * (2 * (2 + 1) + 2 * (2 + 1)) + 4 * 8], attrs => { __init__ => "$fused" });
is_close($vector->slice([0, 47]), [(1) x 48], 'FusedRNN from its text: weights');
is_close($vector->slice([48, 79]), [(0, 5, 0, 0) x 8], '... biases');
my @seen;
{

    package My::Spy;
    use Mouse;
    extends 'AI::MXNet::Initializer';
    sub call { push @seen, "$_[1] " . join('x', @{ $_[2]->shape }); return }
}
mx->init->FusedRNN(init => My::Spy->new, num_hidden => 2, num_layers => 1, mode => 'gru')
    ->_init_weight('parameters', nd->zeros([3 * 2 * (5 + 2 + 2)]));
is_deeply([@seen[0, 5, 6]], ['l0_i2h_r_weight 2x5', 'l0_h2h_o_weight 2x2', 'l0_i2h_r_bias 2'], 'the pieces of a GRU');
{
    my $cell = mx->rnn->FusedRNNCell(2, num_layers => 1, mode => 'lstm', prefix => 'f_');
    my ($outputs) = $cell->unroll(3, inputs => mx->sym->var('data'), merge_outputs => 1);
    my $module = mx->mod->Module($outputs, label_names => undef);
    $module->bind(data_shapes => [['data', [1, 3, 4]]]);
    $module->init_params(initializer => mx->init->One);
    my ($arg) = $module->get_params;
    my $parts = $cell->unpack_weights($arg);
    is_close($parts->{f_l0_i2h_c_weight}, [(1) x 8], 'pieces of a fused cell come from the initializer of the module');
    is_close($parts->{f_l0_i2h_f_bias}, [1, 1], 'but for the bias of the forget gate');
    is_close($parts->{f_l0_i2h_i_bias}, [0, 0], 'and by the names of the pieces');
}
dies_with(
    sub { mx->init->FusedRNN(num_hidden => 2, num_layers => 1, mode => 'gru')->_init_weight('w', nd->zeros([42])) },
    qr/FusedRNN: init got nothing/,
    'no initializer at all'
);
dies_with(
    sub { mx->init->FusedRNN(num_hidden => 2, num_layers => 1, mode => 'tree') },
    qr/mode got tree/,
    'a mode that there is not'
);

# -- others

my $mixed = mx->init->Mixed(['bias', '.*'], [mx->init->Constant(1), mx->init->Constant(2)]);
my ($b, $w) = (nd->zeros([2]), nd->zeros([2]));
$mixed->('a_bias', $b) if 0;
$mixed->(mx->init->InitDesc('bias_weight'), $b);
$mixed->(mx->init->InitDesc('w_weight'), $w);
is_close($b, [1, 1], 'Mixed: the first pattern');
is_close($w, [2, 2], 'Mixed: the second');
dies_with(
    sub { AI::MXNet::Mixed->new(patterns => ['x'], initializers => [mx->init->Zero])->(mx->init->InitDesc('y'), $b) },
    qr/y did not match any pattern/,
    'Mixed: none'
);
my $file = tempdir(CLEANUP => 1) . '/a.params';
nd->save($file, { 'arg:a' => nd->array([1, 2]), 'aux:b' => nd->array([3]) });
my @log;
{
    local $SIG{__WARN__} = sub { push @log, @_ };
    my $load = mx->init->Load($file, default_init => mx->init->One, verbose => 1);
    $load->('a', $b);
    is_close($b, [1, 2], 'Load from a file');
    $load->(mx->init->InitDesc('c_weight'), $b);
    is_close($b, [1, 1], 'Load by default');
}
is_deeply(\@log, ["Initialized a by loading\n", "Initialized c_weight by default\n"], 'Load says so');
{
    local $SIG{__WARN__} = sub { push @log, @_ };
    mx->init->One->set_verbosity(1)->(mx->init->InitDesc('x_weight'), nd->zeros([4]));
    is($log[-1], "Initialized x_weight as weight: 1\n", 'verbose without a function: the root mean square');
}

done_testing;
