package AI::MXNet::Contrib::ONNX;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray;
use AI::MXNet::Symbol;
use AI::MXNet::Contrib::ONNX::Export;
use AI::MXNet::Contrib::ONNX::Import;
use AI::MXNet::Contrib::ONNX::Wire;

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub export_model
{
    my ($class, $symbol, $params, $shapes, $dtype, $file) = @_;
    _fail('export_model: want a symbol, parameters, a list of input shapes, a dtype and a file') if not defined $file;
    $symbol = AI::MXNet::Symbol->load($symbol) if not ref $symbol;
    $params = AI::MXNet::NDArray->load($params) if not ref $params;
    my %plain = map { (s/^(?:arg|aux)://r => $params->{$_}) } keys %$params;
    my $model = AI::MXNet::Contrib::ONNX::Export::model($symbol, \%plain, $shapes, $dtype // 'float32');
    open my $out, '>:raw', $file or _fail("export_model: cannot write '$file': $!");
    print {$out} AI::MXNet::Contrib::ONNX::Wire::encode(Model => $model)
        or _fail("export_model: cannot write '$file': $!");
    close $out or _fail("export_model: cannot write '$file': $!");
    return $file;
}

sub import_model
{
    my ($class, $file) = @_;
    open my $in, '<:raw', $file or _fail("import_model: cannot read '$file': $!");
    my $bytes = do { local $/ = undef; <$in> };
    return AI::MXNet::Contrib::ONNX::Import::graph(AI::MXNet::Contrib::ONNX::Wire::decode(Model => $bytes));
}

1;

__END__

=head1 NAME

AI::MXNet::Contrib::ONNX - models in the ONNX format

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Contrib::ONNX;
    use File::Temp qw(tempdir);
    my $net = mx->sym->FullyConnected(mx->sym->Variable('data'), num_hidden => 2, name => 'fc');
    my %params = (fc_weight => mx->nd->ones([2, 3]), fc_bias => mx->nd->zeros([2]));
    my $file = tempdir(CLEANUP => 1) . '/net.onnx';
    AI::MXNet::Contrib::ONNX->export_model($net, \%params, [[1, 3]], 'float32', $file);
    my ($symbol, $args, $states) = AI::MXNet::Contrib::ONNX->import_model($file);
    print $symbol->eval(args => { %$args, data => mx->nd->ones([1, 3]) })->[0]->aspdl, "\n";    # [[3 3]]

=head1 DESCRIPTION

=over 4

=item export_model($symbol, \%params, \@input_shapes, $dtype, $file)

Writes the graph, as it is at inference, with operator set 13. C<$symbol> and C<\%params> may be names of files, as
C<save_checkpoint> and Gluon's C<export> write them. There is a shape for each argument without a value, in their order; labels are
left out, and losses become what they are without one. Operators that have no rule are an error that names them.

=item import_model($file)

The symbol, its arguments, and its auxiliary states, the last two by name, as hashes.

=back

Sizes that a file computes from the shapes of its inputs, like those of a C<Reshape>, become sizes of the graph. Dimensions that the
file names stay open; numbers that it tells count as they stand. What depends on open sizes otherwise is an error.

The operators of the model zoo go both ways, and those of many other networks: convolutions, pooling, dense layers, normalizations,
activations, arithmetic, reductions, embeddings, what changes shapes and sizes, and recurrent layers (C<RNN>): LSTM, GRU and plain ones, forward,
reverse or both ways, with or without states to begin with and lengths of sequences. A GRU that is read must apply its reset gate behind
the product (C<linear_before_reset>), as C<RNN> does; attributes that C<RNN> lacks are an error that names them.

=cut
