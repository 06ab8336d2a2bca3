package AI::MXNet::Gluon::Summary;
use 5.014;
use strict;
use warnings;
use Scalar::Util qw(blessed refaddr);

# The table that summary of a block prints: one forward pass, watched through hooks.

sub _shape
{
    my $value = shift;
    my @parts = map {
              ref $_ eq 'ARRAY' ? '[' . _shape($_) . ']'
            : blessed $_ ? '(' . join(', ', @{ $_->shape }) . ')'
            : 'None'
    } @$value;
    return join ', ', @parts;
}

sub show
{
    my ($block, @inputs) = @_;
    my (@rows, @hooks, @active, %seen);
    push @rows, { name => 'Input', shape => _shape(\@inputs), params => 0, trainable => 0, shared => 0 };
    my $watch = sub {
        my ($layer, $in, $out) = @_;
        return if blessed $in->[0] and $in->[0]->isa('AI::MXNet::Symbol');    # a layer that looks for its shapes
        my %row =
            (name => $layer->class . '-' . @rows, shape => _shape($out), params => 0, trainable => 0, shared => 0);
        for my $param ($layer->params->values) {
            my $size = $param->data->size;
            $row{params} += $size;
            $row{trainable} += $size if $param->grad_req ne 'null';
            $row{shared} += $size if $seen{ refaddr $param }++;
        }
        push @rows, \%row;
    };

    # A graph would run past the hooks.
    $block->apply(
        sub {
            my $layer = shift;
            push @active, $layer if $layer->isa('AI::MXNet::Gluon::HybridBlock') and $layer->_active;
            push @hooks, $layer->register_forward_hook($watch)
                if not $layer->isa('AI::MXNet::Gluon::NN::Sequential')
                and not $layer->isa('AI::MXNet::Gluon::NN::HybridSequential');
        }
    );
    $_->_active(0) for @active;
    my $ok = eval { $block->(@inputs); 1 };
    my $error = $@;
    $_->_active(1) for @active;
    $_->detach for @hooks;
    die $error if not $ok;
    print_table(@rows);
    return;
}

sub print_table
{
    my @rows = @_;
    my %sum = map { $_ => 0 } qw(params trainable shared);
    my $line = "%20s  %42s %15s\n";
    print '-' x 80, "\n";
    printf $line, 'Layer (type)', 'Output Shape', 'Param #';
    print '=' x 80, "\n";
    for my $row (@rows) {
        printf $line, @$row{qw(name shape params)};
        $sum{$_} += $row->{$_} for keys %sum;
    }
    print '=' x 80, "\n";
    print "Parameters in forward computation graph, duplicate included\n";
    print "   Total params: $sum{params}\n";
    print '   Non-trainable params: ', $sum{params} - $sum{trainable}, "\n";
    print "Shared params in forward computation graph: $sum{shared}\n";
    print 'Unique parameters in model: ', $sum{params} - $sum{shared}, "\n";
    print '-' x 80, "\n";
    return;
}

1;
