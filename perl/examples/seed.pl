use AI::MXNet qw(mx);

my $xx = nd->array([[1, 2], [3, 4]]);
print $xx->aspdl;

$xx->attach_grad;
my $yy;
mx->autograd->record(sub {
    $yy = 2 * $xx * $xx ;
});
$yy->backward;
print $xx->grad->aspdl;

sub pdlmnorm {
    require PDL::LinearAlgebra;
    my $invec = $_[0] ;
    my $mnorm = PDL::LinearAlgebra::mnorm( $invec->aspdl );
    $mnorm = PDL::sclr( $mnorm );
    return $mnorm;
}

sub ff {
    my $aa = $_[0];
    my $bb = $aa * 2;

    while ( pdlmnorm($bb) < 1000) {
        $bb = $bb *2;
    }

    my $cc;
    if ( $bb->sum >= 0 ) {
        $cc = $bb->slice('0');
    } else {
        $cc = $bb->slice('1');
    }
    return nd->array($cc);
}

my $aa = nd->random->uniform(shape=>2);
$aa->attach_grad;

my $cc;
mx->autograd->record(sub{
    $cc = ff($aa);
});
$cc->backward;

print $aa->grad->aspdl;
my $alt = $cc/$aa;
print $alt->aspdl;
